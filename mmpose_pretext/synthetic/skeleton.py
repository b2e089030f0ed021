"""Skeleton of the synthetic people: bones, joint limits, poses.

A pose is a :class:`Pose`: the 17 joints of Human3.6M and the direction of the face.
Body axes: x to the person's left, y up, z forward; metres; the ground is y = 0.
"""

from dataclasses import dataclass

import numpy as np

H36M_JOINTS = (
    'root', 'right_hip', 'right_knee', 'right_foot', 'left_hip', 'left_knee',
    'left_foot', 'spine', 'thorax', 'neck_base', 'head', 'left_shoulder',
    'left_elbow', 'left_wrist', 'right_shoulder', 'right_elbow', 'right_wrist',
)  # fmt: skip
"""Joint order of ``keypoints_3d``, with the names of MMPose's h36m metainfo."""

PROPORTIONS = {
    'ankle': 0.045,
    'shank': 0.246,
    'thigh': 0.245,
    'hip': 0.052,
    'lumbar': 0.140,
    'thoracic': 0.155,
    'neck': 0.075,
    'head': 0.095,
    'drop': 0.010,
    'shoulder': 0.108,
    'upper_arm': 0.186,
    'forearm': 0.146,
}
"""Lengths in units of the body height.

Drillis and Contini (1966), as drawn in Winter, *Biomechanics and Motor Control of Human
Movement* (4th ed., 2009), figure 4.1: shank, thigh, upper arm, forearm, and the heights
of hip (0.530), shoulder (0.818) and ankle (0.039, here with a sole). The half widths of
hips and shoulders there (0.0955, 0.129) reach the skin; ours end at the joint centres.
The trunk is divided freely between lumbar and thoracic part, neck and head.
"""

LIMITS = {
    'lean': (-15, 45),
    'roll': (-15, 15),
    'spine_flex': (-20, 60),
    'spine_side': (-25, 25),
    'spine_twist': (-35, 35),
    'neck_flex': (-35, 40),
    'neck_side': (-25, 25),
    'neck_twist': (-60, 60),
    'shoulder_flex': (-50, 170),
    'shoulder_abd': (0, 150),
    'shoulder_turn': (-80, 70),
    'elbow': (0, 145),
    'hip_flex': (-20, 120),
    'hip_abd': (-10, 45),
    'hip_turn': (-35, 40),
    'knee': (0, 140),
}
"""Lowest and highest joint angle in degrees, within the normal ranges of motion of the
American Academy of Orthopaedic Surgeons (1965). Flexion is positive (a knee or elbow
never bends backwards), abduction is away from the body, turning is inwards."""

_TRUNK = tuple(LIMITS)[:8]
ANGLES = _TRUNK + tuple(
    f'{side}_{name}' for side in ('left', 'right') for name in tuple(LIMITS)[8:]
)
"""The 24 joint angles: 8 of the trunk, 8 of each side."""

# fmt: off
_REST = {'shoulder_abd': 12, 'elbow': 18, 'hip_abd': 5, 'knee': 5}
ACTIONS = {
    'stand': {},
    'walk': {'hip_flex': (26, -14), 'knee': (10, 28), 'shoulder_flex': (-22, 24),
        'elbow': (20, 30), 'hip_abd': 1},
    'run': {'hip_flex': (65, -12), 'knee': (85, 30), 'shoulder_flex': (-42, 45),
        'elbow': (85, 90), 'lean': 12, 'hip_abd': 1},
    'reach': {'shoulder_flex': (110, 10), 'shoulder_abd': (25, 15), 'spine_flex': 8,
        'hip_flex': (10, 0)},
    'arms_up': {'shoulder_flex': 140, 'shoulder_abd': 25, 'elbow': 30,
        'spine_flex': -5},
    'arms_out': {'shoulder_abd': 85, 'elbow': 25, 'hip_abd': 15},
    'wave': {'shoulder_abd': (95, 15), 'shoulder_turn': (-75, 0),
        'elbow': (85, 20)},
    'hands_on_hips': {'shoulder_abd': 48, 'shoulder_flex': -18, 'shoulder_turn': 65,
        'elbow': 95},
    'fold': {'shoulder_flex': 30, 'shoulder_turn': 50, 'elbow': 95},
    'bend': {'hip_flex': 60, 'spine_flex': 35, 'knee': 20, 'shoulder_flex': 70},
    'sit': {'hip_flex': 85, 'hip_abd': 9, 'knee': 85, 'shoulder_flex': 28,
        'elbow': 50},
    'crouch': {'hip_flex': 108, 'knee': 122, 'hip_abd': 14, 'spine_flex': 25,
        'shoulder_flex': 60, 'elbow': 40},
    'lunge': {'hip_flex': (78, -12), 'knee': (82, 35), 'shoulder_abd': 35,
        'elbow': 50},
    'kick': {'hip_flex': (72, -4), 'knee': (18, 14), 'shoulder_abd': (45, 60),
        'shoulder_flex': (-10, 35), 'elbow': 35, 'spine_flex': 15},
    'throw': {'shoulder_abd': (85, 40), 'shoulder_flex': (20, 70),
        'shoulder_turn': (-60, 0), 'elbow': (75, 20), 'hip_flex': (-8, 28), 'knee': 15,
        'spine_twist': 20},
}
# fmt: on
"""Kinds of poses: mean angles in degrees where they are not 0, before the spread.

A pair is (one side, other side); which of them is left is drawn.
"""
_SPREAD = {'shoulder_flex': 14, 'elbow': 18, 'shoulder_turn': 14, 'neck_twist': 22}


def _row(values: dict, default: float) -> np.ndarray:
    """Numbers in the order of :data:`ANGLES`; a pair is (left, right)."""
    values = {k: values.get(k, default) for k in LIMITS}
    return np.array(
        [values[k] for k in _TRUNK]
        + [np.broadcast_to(values[k], 2)[i] for i in (0, 1) for k in tuple(LIMITS)[8:]]
    )


_MEANS = {name: _row({**_REST, **means}, 0) for name, means in ACTIONS.items()}
_SPREADS = _row(_SPREAD, 7)
_LOW, _HIGH = (_row({k: v[i] for k, v in LIMITS.items()}, 0) for i in (0, 1))
_SWAP = np.r_[0:8, 16:24, 8:16]

# Half of every segment's share of the body mass (Winter 2009, table 4.1) at its ends.
_MASS = np.zeros(17)
for _a, _b, _m in (
    (0, 8, 0.497), (9, 10, 0.081), (11, 12, 0.028), (12, 13, 0.022), (14, 15, 0.028),
    (15, 16, 0.022), (1, 2, 0.1), (2, 3, 0.061), (4, 5, 0.1), (5, 6, 0.061),
):  # fmt: skip
    _MASS[[_a, _b]] += _m / 2


@dataclass(frozen=True)
class Pose:
    """A body in its own axes.

    Args:
        joints: Positions of :data:`H36M_JOINTS`, shape (17, 3), metres. ``neck_base``
            lies at the base of the skull, ``head`` on top of the head.
        face: Direction in which the face looks, shape (3,).
        height: Body height in metres.
        action: Key of :data:`ACTIONS`, or ``'mocap'``.
        source: (frame, clip) of a motion-capture pose, else None.
    """

    joints: np.ndarray
    face: np.ndarray
    height: float
    action: str
    source: tuple[int, int] | None = None


def unit(v: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) scaled to length 1."""
    length = np.sqrt(np.einsum('...i,...i', v, v))[..., None]
    return v / np.maximum(length, 1e-9)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product along the last axis; several times as fast as NumPy's."""
    left, right = [1, 2, 0], [2, 0, 1]
    return a[..., left] * b[..., right] - a[..., right] * b[..., left]


def turn(axis: int | np.ndarray, degrees: float | np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) about axis 0, 1 or 2 (x, y, z), right-handed."""
    axis, angle = np.broadcast_arrays(axis, np.deg2rad(degrees))
    out = np.zeros((axis.size, 3, 3))
    n, i = np.arange(axis.size), axis.ravel()
    j, k = (i + 1) % 3, (i + 2) % 3
    out[n, i, i] = 1
    out[n, j, j] = out[n, k, k] = np.cos(angle.ravel())
    out[n, k, j] = np.sin(angle.ravel())
    out[n, j, k] = -out[n, k, j]
    return out.reshape(*axis.shape, 3, 3)


# Axis of each angle, and the sense in which a body part turns about it.
_AXIS = np.array([0, 2, 0, 2, 1, 0, 2, 1] + [0, 2, 1, 0, 0, 2, 1, 0] * 2)
_SENSE = np.array(
    [1, 1, 0.5, 0.5, 0.5, 1, 1, 1]
    + [-1, 1, -1, -1, -1, 1, -1, 1]
    + [-1, -1, 1, -1, -1, -1, 1, 1]
)


def sample_angles(rng: np.random.Generator, action: str) -> np.ndarray:
    """Draw joint angles in degrees, within :data:`LIMITS`.

    Which side of the body has which role is drawn too.

    Args:
        rng: Source of randomness.
        action: Key of :data:`ACTIONS`.

    Returns:
        Numbers in the order of :data:`ANGLES`, (24,).
    """
    means = _MEANS[action][_SWAP] if rng.random() < 0.5 else _MEANS[action]
    angles = means + _SPREADS * rng.normal(size=24)
    angles[5] -= 0.6 * (angles[0] + angles[2])  # people look ahead, not down
    return np.clip(angles, _LOW, _HIGH)


def forward_kinematics(
    angles: np.ndarray, height: float, bones: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Joints (17, 3) in metres, root at the origin, and direction of the face (3,).

    Args:
        angles: As :func:`sample_angles` returns them.
        height: Body height in metres.
        bones: As :data:`PROPORTIONS`.
    """
    b = {k: v * height for k, v in bones.items()}
    r = turn(_AXIS, angles * _SENSE)
    out = np.zeros((17, 3))
    pelvis = r[1] @ r[0]
    bend = r[4] @ r[2] @ r[3]
    chest = pelvis @ bend @ bend
    head = chest @ r[7] @ r[5] @ r[6]
    out[7] = (pelvis @ bend)[:, 1] * b['lumbar']
    out[8] = out[7] + chest[:, 1] * b['thoracic']
    out[9] = out[8] + unit(chest[:, 1] + head[:, 1]) * b['neck']
    out[10] = out[9] + head[:, 1] * b['head']
    for first, side, hip, shoulder in ((8, 1, 4, 11), (16, -1, 1, 14)):
        flex, abduct, rotate, elbow, hip_flex, hip_abduct, hip_rotate, knee = r[
            first : first + 8
        ]
        arm = chest @ flex @ abduct @ rotate
        out[shoulder] = out[8] + side * b['shoulder'] * chest[:, 0]
        out[shoulder] -= b['drop'] * chest[:, 1]
        out[shoulder + 1] = out[shoulder] - arm[:, 1] * b['upper_arm']
        out[shoulder + 2] = out[shoulder + 1] - (arm @ elbow)[:, 1] * b['forearm']
        leg = pelvis @ hip_flex @ hip_abduct @ hip_rotate
        out[hip] = side * b['hip'] * pelvis[:, 0]
        out[hip + 1] = out[hip] - leg[:, 1] * b['thigh']
        out[hip + 2] = out[hip + 1] - (leg @ knee)[:, 1] * b['shank']
    return out, head[:, 2]


def _balance(joints: np.ndarray, height: float) -> np.ndarray | None:
    """Rotation that puts the centre of mass above the feet; None beyond 40 degrees."""
    ankles = joints[[3, 6]]
    load = np.exp(-(ankles[:, 1] - ankles[:, 1].min()) / (0.05 * height))
    support = load @ ankles / load.sum() + [0, 0, 0.035 * height]
    v = unit(_MASS @ joints / _MASS.sum() - support)
    if v[1] < np.cos(np.deg2rad(40)):
        return None
    axis = np.array([-v[2], 0.0, v[0]])  # v x up
    k = cross(np.eye(3), axis)
    return np.eye(3) + k + k @ k / (1 + v[1])


def _crosses_itself(joints: np.ndarray, height: float) -> bool:
    """Whether an arm lies inside the trunk or a thigh, or one leg in the other."""
    axes = np.stack([unit(joints[11] - joints[14]), unit(joints[8] - joints[0])])
    axes = np.stack([axes[0], axes[1], cross(axes[0], axes[1])])
    arm = joints[[12, 13, 15, 16]]
    arm = np.concatenate([arm, (arm[[0, 2]] + arm[[1, 3]]) / 2])
    p = (arm - joints[0]) @ axes.T / height
    trunk = (p[:, 0] / 0.095) ** 2 + (p[:, 2] / 0.075) ** 2 < 1
    if (trunk & (p[:, 1] > -0.06) & (p[:, 1] < 0.42)).any():
        return True
    for hip in (1, 4):
        bone = joints[hip + 1] - joints[hip]
        t = np.clip((arm - joints[hip]) @ bone / (bone @ bone), 0, 1)
        gap = np.linalg.norm(arm - joints[hip] - t[:, None] * bone, axis=1)
        if gap.min() < 0.055 * height:
            return True
    legs = np.linalg.norm(joints[[2, 3]] - joints[[5, 6]], axis=1)
    return bool(legs.min() < 0.055 * height)


def to_ground(joints: np.ndarray, height: float) -> np.ndarray:
    """Shift joints (17, 3) up or down until the lowest part of the body is at y = 0."""
    clearance = np.full(17, 0.03 * height)
    clearance[[3, 6]] = PROPORTIONS['ankle'] * height
    clearance[[0, 1, 4, 7]] = 0.065 * height
    return joints - [0, (joints[:, 1] - clearance).min(), 0]


def sample_height(rng: np.random.Generator) -> float:
    """Body height in metres: women, men (means 1.62, 1.76) and 12 % children."""
    if rng.random() < 0.12:
        return float(rng.uniform(1.15, 1.5))
    mean = 1.62 if rng.random() < 0.5 else 1.76
    return float(np.clip(rng.normal(mean, 0.07), 1.45, 2.0))


def sample_pose(rng: np.random.Generator, action: str | None = None) -> Pose:
    """Draw a body and a plausible pose: in its limits, balanced, feet on the ground.

    Args:
        rng: Source of randomness.
        action: Key of :data:`ACTIONS`; drawn when None.

    Raises:
        ValueError: If the action is not known.
    """
    if action is None:
        names = list(ACTIONS)
        action = names[int(rng.integers(len(names)))]
    elif action not in ACTIONS:
        raise ValueError(f'action must be one of {sorted(ACTIONS)}, got {action!r}')
    height = sample_height(rng)
    noise = rng.normal(1, 0.03, len(PROPORTIONS))
    bones = {k: v * f for (k, v), f in zip(PROPORTIONS.items(), noise, strict=True)}
    while True:
        joints, face = forward_kinematics(sample_angles(rng, action), height, bones)
        if _crosses_itself(joints, height):
            continue
        if action not in ('sit', 'run'):
            rotation = _balance(joints, height)
            if rotation is None:
                continue
            joints, face = joints @ rotation.T, rotation @ face
        return Pose(to_ground(joints, height), face, height, action)
