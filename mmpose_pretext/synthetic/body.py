"""From a pose to a dressed body and its COCO keypoints."""

import colorsys
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
    [0.12, 0.11, 0.062, 0.05, 0.11, 0.062, 0.05, 0.11, 0.09, 0.06, 0.04, 0.075, 0.05,
     0.04, 0.075, 0.05, 0.04]
)  # fmt: skip
"""How far under the body's surface a Human3.6M joint may lie, in body heights."""

COCO_DEPTH = np.full(17, 0.025)
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
        painted: Whether every part of the body has a colour of its own instead of the
            looks, left and right as well: the same in everybody.
    """

    look: np.ndarray
    girth: float
    long_hair: bool
    painted: bool = False


def _paint(n: int) -> np.ndarray:
    """Looks of n parts of a body; neighbours have distant hues."""
    look = looks(n, grain=0)
    for i, part in enumerate(look):
        hue = i * 0.618034 % 1
        saturation, value = (1, 0.6)[i % 2], (1, 0.7, 0.45)[i % 3]
        part['colour'] = part['beyond'] = colorsys.hsv_to_rgb(hue, saturation, value)
    return look


def _colour(rng: np.random.Generator) -> np.ndarray:
    """A colour of cloth: often muted or dark, sometimes vivid."""
    spread = (0.03, 0.15, 0.35)[int(rng.integers(3))]
    return np.clip(rng.uniform(0.05, 0.95) + rng.normal(0, spread, 3), 0.03, 0.97)


def sample_outfit(rng: np.random.Generator) -> Outfit:
    """Draw skin, hair, clothes and girth."""
    look = looks(len(_MATERIALS), grain=0.05)
    row = {name: look[i] for i, name in enumerate(_MATERIALS)}
    tone = 2 * rng.random()
    low = int(tone)
    skin = _SKIN[low] + (tone - low) * (_SKIN[low + 1] - _SKIN[low])
    look['colour'] = look['beyond'] = skin
    for patterned, names in (
        (0.6, ('top', 'sleeve', 'cuff')),
        (0.35, ('hips', 'thigh', 'shank')),
    ):
        cloth = [_MATERIALS.index(name) for name in names]
        colour = _colour(rng)
        look['colour'][cloth] = colour
        if rng.random() < patterned:
            look['step'][cloth] = _colour(rng) - colour
        look['waves'][cloth] = rng.uniform(30, 130, 2) * _DIRECTIONS[rng.integers(3)]
        look['grain'][cloth] = rng.uniform(0.06, 0.2)
        look['scale'][cloth] = rng.uniform(150, 500)
    sleeve = (0.1, 0.55, 0.6, 1.0, 2.0, 2.0)[int(rng.integers(6))]
    row['sleeve']['end'], row['cuff']['end'] = sleeve, sleeve - 1
    leg = (0.5, 0.85, 1.5, 2.0, 2.0, 2.0)[int(rng.integers(6))]
    row['thigh']['end'], row['shank']['end'] = leg, leg - 1
    row['shoe']['colour'] = _colour(rng)
    row['hair']['colour'] = _HAIR[rng.integers(len(_HAIR))] * rng.uniform(0.7, 1.1)
    row['hair']['scale'], row['hair']['grain'] = 2500, 0.25
    row['eye']['colour'], row['lip']['colour'] = 0.06, skin * [0.75, 0.4, 0.4]
    girth = float(np.exp(rng.normal(0.05, 0.12)))
    return Outfit(look, girth, bool(rng.random() < 0.35))


_DIRECTIONS = np.array([[1, 1], [0, 1], [1, 0]])

# Parts of the head: material, start, end (left, up, forward from its centre), radii,
# which of the head's axes is thinner, by what factor.
_HEAD = (
    ('skin', (0, -0.012, 0.012), (0, 0.012, 0), 0.043, 0.052, 0, 1.13),
    ('hair', (0, 0.012, -0.012), (0, 0.024, -0.008), 0.054, 0.054, 0, 1.1),
    ('skin', (0, 0, 0.05), (0, -0.012, 0.054), 0.005, 0.009, 2, 1),
    ('lip', (-0.011, -0.034, 0.046), (0.011, -0.034, 0.046), 0.006, 0.006, 2, 1),
    ('eye', (0.018, 0.008, 0.047), (0.018, 0.008, 0.047), 0.0075, 0.0075, 2, 1),
    ('eye', (-0.018, 0.008, 0.047), (-0.018, 0.008, 0.047), 0.0075, 0.0075, 2, 1),
    ('skin', (0.045, 0.004, -0.002), (0.043, -0.012, 0), 0.011, 0.008, 2, 1),
    ('skin', (-0.045, 0.004, -0.002), (-0.043, -0.012, 0), 0.011, 0.008, 2, 1),
    ('hair', (0, 0, -0.03), (0, -0.11, -0.035), 0.046, 0.034, 2, 1.5),  # if long
)
_HEAD_MATERIALS, _HEAD_STARTS, _HEAD_ENDS, _R0, _R1, _HEAD_AXES, _HEAD_FLAT = (
    list(column) for column in zip(*_HEAD, strict=True)
)
_HEAD_POINTS = np.array([_HEAD_STARTS, _HEAD_ENDS], float)


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
    rows = []

    def add(
        material: str,
        start: np.ndarray,
        end: np.ndarray,
        r0: float,
        r1: float,
        front: np.ndarray = chest[2],
        flat: float = 1,
    ) -> None:
        rows.append((material, start, end, r0 * g, r1 * g, front, flat))

    add('hips', j[1], j[4], 0.06, 0.06, hips[2], 1.05)
    add('top', j[0] + 0.05 * hips[1], j[7], 0.068, 0.076, hips[2], 1.38)
    add('top', j[7], j[8] - 0.075 * chest[1], 0.074, 0.088, flat=1.45)
    add('top', j[11], j[14], 0.034, 0.034)
    add('skin', j[8] - 0.02 * chest[1], j[9], 0.034, 0.030)
    collar = j[9] - 0.035 * chest[1]
    for i in (11, 14):
        add('top', collar, j[i], 0.026, 0.03)
        add('sleeve', j[i], j[i + 1], 0.034, 0.026)
        add('cuff', j[i + 1], j[i + 2], 0.026, 0.018)
        hand = j[i + 2] + 0.45 * (j[i + 2] - j[i + 1])
        add('skin', j[i + 2], hand, 0.018, 0.016, hips[0], 1.3)
    for i in (1, 4):
        add('thigh', j[i] - 0.01 * hips[1], j[i + 1], 0.054, 0.035)
        shank = unit(j[i + 2] - j[i + 1])
        toe = cross(shank, hips[0])
        add('shank', j[i + 1], j[i + 2], 0.035, 0.022)
        calf = j[i + 1] + 0.07 * shank - 0.010 * toe
        add('shank', calf, j[i + 2], 0.034, 0.022)
        toe = unit(toe)
        heel = j[i + 2] + 0.02 * shank - 0.012 * toe
        tip = heel + 0.115 * toe
        heel[1], tip[1] = max(heel[1], 0.024), max(tip[1], 0.019)
        add('shoe', heel, tip, 0.024 / g, 0.019 / g)
    centre, head = head_frame(pose)
    n = len(_HEAD) if outfit.long_hair else len(_HEAD) - 1
    starts, ends = centre / h + _HEAD_POINTS[:, :n] @ head
    material, start, end, r0, r1, front, flat = zip(*rows, strict=True)
    material = [_MATERIALS.index(m) for m in (*material, *_HEAD_MATERIALS[:n])]
    return Solids.cones(
        np.concatenate([start, starts]) * h,
        np.concatenate([end, ends]) * h,
        np.array([[*r0, *_R0[:n]], [*r1, *_R1[:n]]]).T * h,
        np.concatenate([front, head[_HEAD_AXES[:n]]]),
        _paint(len(material)) if outfit.painted else outfit.look[material],
        np.array([*flat, *_HEAD_FLAT[:n]]),
        owner,
    )
