"""From a pose to a dressed body and its COCO keypoints."""

from dataclasses import dataclass

import numpy as np

from .render import Solids, looks
from .skeleton import Pose, cross, unit

COCO_FROM_H36M = {5: 11, 6: 14, 7: 12, 8: 15, 9: 13, 10: 16, 11: 4, 12: 1, 13: 5,
                  14: 2, 15: 6, 16: 3}  # fmt: skip
"""COCO keypoint -> Human3.6M joint, where the two are the same point."""

# Offsets (left, up, forward) from the centre of the head, in body heights.
_FACE = np.array(
    [
        [0, -0.010, 0.057],
        [0.018, 0.008, 0.049],
        [-0.018, 0.008, 0.049],
        [0.044, -0.004, -0.004],
        [-0.044, -0.004, -0.004],
    ]
)
H36M_DEPTH = np.array(
    [0.11, 0.09, 0.048, 0.036, 0.09, 0.048, 0.036, 0.1, 0.08, 0.05, 0.03, 0.06, 0.036,
     0.03, 0.06, 0.036, 0.03]
)  # fmt: skip
"""How far under the body's surface a Human3.6M joint may lie, in body heights."""

COCO_DEPTH = np.full(17, 0.02)
"""The same for COCO's keypoints."""
COCO_DEPTH[list(COCO_FROM_H36M)] = H36M_DEPTH[list(COCO_FROM_H36M.values())]


def _frame(left: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Rows left, up, forward; ``up`` is kept, ``left`` made perpendicular."""
    up = unit(up)
    left = unit(left - left @ up * up)
    return np.stack([left, up, cross(left, up)])


def head_frame(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Centre of the head (3,) and its axes: rows left, up, forward (3, 3)."""
    up = unit(pose.joints[10] - pose.joints[9])
    frame = _frame(cross(up, pose.face), up)
    return pose.joints[10] - 0.066 * pose.height * up, frame


def coco_points(pose: Pose) -> np.ndarray:
    """COCO's 17 keypoints of a pose, (17, 3): face points lie on the head's surface."""
    out = np.empty((17, 3))
    centre, frame = head_frame(pose)
    out[:5] = centre + _FACE * pose.height @ frame
    out[list(COCO_FROM_H36M)] = pose.joints[list(COCO_FROM_H36M.values())]
    return out


_SKIN = np.array([[0.96, 0.80, 0.70], [0.78, 0.56, 0.42], [0.33, 0.21, 0.15]])
_HAIR = np.array(
    [[0.06, 0.05, 0.05], [0.24, 0.14, 0.08], [0.75, 0.58, 0.32], [0.6, 0.6, 0.6],
     [0.45, 0.18, 0.08]]
)  # fmt: skip
_MATERIALS = ('skin', 'top', 'sleeve', 'cuff', 'hips', 'thigh', 'shank', 'shoe',
              'hair', 'eye', 'lip')  # fmt: skip


@dataclass
class Outfit:
    """Looks of a person; the same on both sides of the body.

    Args:
        look: One of each of the materials, array of :data:`render.LOOK`.
        girth: Factor of the thickness of trunk and limbs.
        long_hair: Whether hair falls to the shoulders.
    """

    look: np.ndarray
    girth: float
    long_hair: bool


def _colour(rng: np.random.Generator) -> np.ndarray:
    """A colour of cloth: often muted or dark, sometimes vivid."""
    spread = rng.choice([0.03, 0.15, 0.35])
    return np.clip(rng.uniform(0.05, 0.95) + rng.normal(0, spread, 3), 0.03, 0.97)


def sample_outfit(rng: np.random.Generator) -> Outfit:
    """Draw skin, hair, clothes and girth."""
    look = looks(len(_MATERIALS))
    named = {name: look[i : i + 1] for i, name in enumerate(_MATERIALS)}
    tone = 2 * rng.random()
    low = int(tone)
    skin = _SKIN[low] + (tone - low) * (_SKIN[low + 1] - _SKIN[low])
    for name in ('skin', 'sleeve', 'cuff', 'thigh', 'shank'):
        named[name]['colour'] = named[name]['beyond'] = skin
        named[name]['grain'] = 0.05
    for chance, cloth in (
        (0.6, ('top', 'sleeve', 'cuff')),
        (0.35, ('hips', 'thigh', 'shank')),
    ):
        style = rng.random(2) < chance * 0.8
        waves = rng.uniform(30, 130, 2) * style
        values = {
            'colour': _colour(rng),
            'second': _colour(rng),
            'waves': waves,
            'grain': rng.uniform(0.06, 0.2),
            'scale': rng.uniform(150, 500),
        }
        for name in cloth:
            for key, value in values.items():
                named[name][key] = value
    sleeve = rng.choice([0.1, 0.55, 1.0, 2.0], p=[0.1, 0.4, 0.1, 0.4])
    named['sleeve']['end'], named['cuff']['end'] = sleeve, sleeve - 1
    leg = rng.choice([0.5, 0.85, 1.5, 2.0], p=[0.15, 0.2, 0.05, 0.6])
    named['thigh']['end'], named['shank']['end'] = leg, leg - 1
    named['shoe']['colour'] = _colour(rng)
    named['hair']['colour'] = _HAIR[int(rng.integers(len(_HAIR)))] * rng.uniform(
        0.7, 1.1
    )
    named['hair']['scale'] = 2500
    named['eye']['colour'], named['lip']['colour'] = 0.06, skin * [0.75, 0.4, 0.4]
    return Outfit(
        look, float(np.exp(rng.normal(0.05, 0.12))), bool(rng.random() < 0.35)
    )


def body_solids(pose: Pose, outfit: Outfit, owner: int) -> Solids:
    """Round cones of a dressed body.

    Args:
        pose: Pose in the world.
        outfit: What it wears.
        owner: Index of the person.
    """
    h, g = pose.height, outfit.girth
    j = pose.joints / h
    hips = _frame(j[4] - j[1], j[7] - j[0])
    chest = _frame(j[11] - j[14], j[8] - j[7])
    centre, head = head_frame(pose)
    centre = centre / h
    rows = []

    def add(material, start, end, r0, r1, front=hips[2], flat=1.0, thick=g) -> None:
        rows.append(
            (
                _MATERIALS.index(material),
                start,
                end,
                r0 * thick,
                r1 * thick,
                front,
                flat,
            )
        )

    def on_head(*offset: float) -> np.ndarray:
        return centre + np.array(offset) @ head

    add('hips', j[1], j[4], 0.058, 0.058, flat=1.05)
    add('top', j[0] + 0.01 * hips[1], j[7], 0.078, 0.076, flat=1.35)
    add('top', j[7], j[8] - 0.075 * chest[1], 0.074, 0.088, chest[2], 1.45)
    add('top', j[11], j[14], 0.034, 0.034, chest[2])
    add('skin', j[8] - 0.02 * chest[1], j[9], 0.034, 0.030, chest[2])
    for i in (11, 14):
        add('top', j[9] - 0.035 * chest[1], j[i], 0.026, 0.03, chest[2])
        add('sleeve', j[i], j[i + 1], 0.034, 0.026)
        add('cuff', j[i + 1], j[i + 2], 0.026, 0.018)
        hand = unit(j[i + 2] - j[i + 1])
        add('skin', j[i + 2], j[i + 2] + 0.065 * hand, 0.018, 0.016)
    for i in (1, 4):
        add('thigh', j[i] - 0.01 * hips[1], j[i + 1], 0.054, 0.035)
        add('shank', j[i + 1], j[i + 2], 0.035, 0.022)
        shank = unit(j[i + 2] - j[i + 1])
        calf = j[i + 1] + 0.07 * shank - 0.010 * cross(shank, hips[0])
        add('shank', calf, j[i + 2], 0.034, 0.022)
        toe = unit(cross(shank, hips[0]))
        heel = j[i + 2] + 0.02 * shank - 0.012 * toe
        tip = heel + 0.115 * toe
        heel[1], tip[1] = max(heel[1], 0.024), max(tip[1], 0.019)
        add('shoe', heel, tip, 0.024, 0.019, thick=1)
    # The head is a sphere of its own height, made narrower by its look's axes.
    add(
        'skin',
        on_head(0, -0.012, 0.012),
        on_head(0, 0.012, 0),
        0.043,
        0.052,
        head[0],
        1.13,
        1,
    )
    add(
        'hair',
        on_head(0, 0.012, -0.012),
        on_head(0, 0.024, -0.008),
        0.054,
        0.054,
        head[0],
        1.1,
        1,
    )
    add('skin', on_head(0, 0, 0.05), on_head(0, -0.012, 0.054), 0.005, 0.009, thick=1)
    add(
        'lip',
        on_head(-0.011, -0.034, 0.046),
        on_head(0.011, -0.034, 0.046),
        0.006,
        0.006,
        thick=1,
    )
    for side in (-1, 1):
        add(
            'eye',
            on_head(side * 0.018, 0.008, 0.047),
            on_head(side * 0.018, 0.008, 0.047),
            0.0075,
            0.0075,
            thick=1,
        )
        add(
            'skin',
            on_head(side * 0.045, 0.004, -0.002),
            on_head(side * 0.043, -0.012, 0),
            0.011,
            0.008,
            thick=1,
        )
    if outfit.long_hair:
        add(
            'hair',
            on_head(0, 0, -0.03),
            on_head(0, -0.11, -0.035),
            0.046,
            0.034,
            head[2],
            1.5,
            1,
        )
    material, start, end, r0, r1, front, flat = (np.array(c) for c in zip(*rows))
    return Solids.cones(
        start * h,
        end * h,
        np.stack([r0, r1], 1) * h,
        front,
        outfit.look[material],
        flat,
        owner,
    )
