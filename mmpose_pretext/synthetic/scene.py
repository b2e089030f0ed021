"""Scenes of people: sampling, rendering, labels."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from .body import COCO_DEPTH, H36M_DEPTH, body_solids, coco_points, sample_outfit
from .camera import Camera
from .render import ENDLESS, Light, Solids, cast, looks, shade
from .skeleton import Pose, sample_pose, turn

MIN_PIXELS = 24
"""A person with fewer visible pixels is not annotated."""


@dataclass(frozen=True)
class SceneConfig:
    """What scenes to draw.

    Args:
        image_size: Width and height in pixels, each at least 32.
        people: Least and greatest number of people, at least 1 and at most 12.
        plain: Draw people on bare ground, in pictures without noise
            and blur. Nothing else is in view but the seats of those who sit.
        painted: Paint every part of a body in a colour of its own, the same in
            everybody. Left and right have different colours, so a mirrored picture
            contradicts its labels: leave out flips.
    """

    image_size: tuple[int, int] = (256, 256)
    people: tuple[int, int] = (1, 6)
    plain: bool = False
    painted: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if min(self.image_size) < 32:
            raise ValueError(
                f'image_size must be at least 32x32 pixels, got {self.image_size}'
            )
        low, high = self.people
        if not 1 <= low <= high <= 12:
            raise ValueError(
                f'people must be MIN MAX with 1 <= MIN <= MAX <= 12, got {self.people}'
            )


@dataclass
class Scene:
    """People, things and a camera; :func:`render` makes the picture.

    Args:
        camera: The camera.
        people: Poses in the world.
        solids: All surfaces, the ground first.
        light: The light.
        grade: Exposure, contrast, strength of the noise, blur in pixels; (4,).
        noise: Which noise the image has.
    """

    camera: Camera
    people: list[Pose]
    solids: Solids
    light: Light
    grade: np.ndarray
    noise: int


@dataclass
class Rendering:
    """A picture and what lies behind it.

    Args:
        image: BGR, uint8 (H, W, 3).
        depth: Depth along the camera's z in metres, inf in the sky; float32 (H, W).
        person: Index of the person in front, -1 where there is none; (H, W).
    """

    image: np.ndarray
    depth: np.ndarray
    person: np.ndarray


def place(pose: Pose, yaw: float, x: float, z: float) -> Pose:
    """Turn a pose about the vertical (degrees; 0 looks away) and move it to (x, z)."""
    r = turn(1, yaw)
    return replace(pose, joints=pose.joints @ r.T + [x, 0, z], face=r @ pose.face)


def _sample_camera(
    rng: np.random.Generator, config: SceneConfig, people: int
) -> tuple[Camera, float]:
    """A camera and the distance at which people fit into its view."""
    w, h = config.image_size
    focal = h / 2 / np.tan(np.deg2rad(rng.uniform(24, 58)) / 2)
    share = rng.uniform(0.5, 0.95) if people == 1 else rng.uniform(0.35, 0.8)
    distance = float(np.clip(1.7 * focal / (share * h), 2.2, 30))
    height = rng.uniform(0.5, 2.0) if rng.random() < 0.8 else rng.uniform(2, 4)
    pitch = np.arctan2(height - 0.85, distance) + rng.normal(0, 0.03)
    return Camera((w, h), float(focal), float(height), float(pitch)), distance


def _spot(
    rng: np.random.Generator,
    camera: Camera,
    depths: tuple[float, float],
    taken: list[tuple[float, float]],
    gap: float,
    margin: float,
) -> tuple[float, float]:
    """A point (x, z) of the ground in view, ``gap`` metres from the taken ones.

    Its line of sight is clear of theirs by half of that. After 20 attempts the last
    draw is returned.
    """
    low, high = math.log(depths[0]), math.log(depths[1])
    for _ in range(20):
        z = math.exp(rng.uniform(low, high))
        u = rng.uniform(margin, 1 - margin)
        slope = (0.5 - u) * camera.image_size[0] / camera.focal
        x = slope * z
        if all(
            math.hypot(x - tx, z - tz) > gap
            and abs(slope - tx / tz) * max(z, tz) > gap / 2
            for tx, tz in taken
        ):
            break
    return x, z


def _surface(rng: np.random.Generator, n: int, waves: float) -> np.ndarray:
    """Looks of n things, some with patterns of up to ``waves`` radians per metre."""
    tone = rng.uniform(0.1, 0.9, (n, 1)) + rng.normal(0, 0.12, (n, 3))
    return looks(
        n,
        colour=np.clip(tone, 0.04, 0.96),
        step=rng.normal(0, 0.15, (n, 3)) * (rng.random((n, 1)) < 0.6),
        waves=rng.uniform(0.15, 1, (n, 2)) * waves * (rng.random((n, 2)) < 0.6),
        grain=rng.uniform(0.04, 0.25, n),
        scale=rng.uniform(40, 300, n),
    )


def _background(
    rng: np.random.Generator, camera: Camera, spots: np.ndarray
) -> tuple[list[Solids], np.ndarray]:
    """Ground, walls or landscape, furniture; and the colours of sky or ceiling."""
    far = spots[:, 1].max()
    ground = _surface(rng, 1, 12)
    ground['grain'] *= 0.6
    out = [_boxes([[0, -1, 0]], [[ENDLESS, 1, ENDLESS]], [0], ground)]
    n = int(rng.integers(2, 8))
    taken = list(map(tuple, spots.tolist()))
    half = rng.uniform(0.15, 0.6, (n, 3)) * [1, 1.4, 0.8]
    for i in range(n):
        reach = 0.7 + np.hypot(half[i, 0], half[i, 2])
        taken.append(_spot(rng, camera, (0.9 * far, far + 5), taken, reach, 0.0))
    at = np.insert(np.array(taken[len(spots) :]), 1, half[:, 1], axis=1)
    out.append(_boxes(at, half, rng.uniform(0, np.pi, n), _surface(rng, n, 40)))
    if rng.random() < 0.55:
        wall = far + rng.uniform(1, 5)
        top = rng.uniform(2.5, 4)
        out.append(
            _boxes(
                [[0, top / 2, wall]],
                [[ENDLESS, top / 2, 0.1]],
                [0],
                _surface(rng, 1, 25),
            )
        )
        if rng.random() < 0.6:
            side = rng.choice([-1, 1]) * (
                np.abs(spots[:, 0]).max() + rng.uniform(0.8, 3)
            )
            look = _surface(rng, 1, 25)
            out.append(_boxes([[side, top / 2, 0]], [[0.1, top / 2, wall]], [0], look))
        n = int(rng.integers(1, 6))
        width = wall * camera.image_size[0] / camera.focal / 2
        at = np.column_stack(
            [
                rng.uniform(-width, width, n),
                rng.uniform(1, 2.2, n),
                np.full(n, wall - 0.1),
            ]
        )
        size = rng.uniform([0.2, 0.2, 0.03], [0.8, 0.7, 0.05], (n, 3))
        out.append(_boxes(at, size, np.zeros(n), _surface(rng, n, 40)))
        sky = np.tile(rng.uniform(0.4, 0.9), (2, 3)) * rng.uniform(0.9, 1, (1, 3))
    else:
        n = int(rng.integers(1, 6))
        half = rng.uniform([2, 1.5, 2], [7, 8, 7], (n, 3))
        z = far + rng.uniform(12, 50, n)
        x = rng.uniform(-0.6, 0.6, n) * z * camera.image_size[0] / camera.focal
        at = np.column_stack([x, half[:, 1], z + half[:, 2]])
        out.append(_boxes(at, half, rng.normal(0, 0.3, n), _surface(rng, n, 4)))
        n = int(rng.integers(1, 5))
        z = far + rng.uniform(2, 20, n)
        x = rng.uniform(-0.6, 0.6, n) * z * camera.image_size[0] / camera.focal
        foot = np.column_stack([x, np.zeros(n), z])
        crown = foot + [0, 1, 0] * rng.uniform(1.5, 3.5, (n, 1))
        green = looks(n, colour=rng.uniform([0.1, 0.2, 0.05], [0.4, 0.5, 0.2], (n, 3)))
        green['grain'] = 0.4
        trunk = looks(n, colour=[0.25, 0.18, 0.12])
        front = np.tile([0.0, 0.0, 1.0], (n, 1))
        radius = rng.uniform(0.7, 1.6, (n, 1)) * [1, 0.7]
        out.append(Solids.cones(foot, crown, np.full((n, 2), 0.12), front, trunk))
        out.append(Solids.cones(crown, crown + [0, 1.2, 0], radius, front, green))
        blue = rng.uniform([0.25, 0.45, 0.7], [0.5, 0.65, 0.95])
        grey = rng.uniform(0.6, 0.95)
        sky = np.stack([0.3 * blue + 0.7 * grey, blue + rng.random() * (grey - blue)])
    return out, sky


def _bare_ground() -> tuple[list[Solids], np.ndarray]:
    """Grey ground and sky, as :func:`_background` returns them."""
    grey = looks(1, colour=0.5, grain=0)
    ground = _boxes([[0, -1, 0]], [[ENDLESS, 1, ENDLESS]], [0], grey)
    return [ground], np.full((2, 3), 0.8)


def _boxes(centre: list, half: list, yaw: list, look: np.ndarray) -> Solids:
    arrays = (np.asarray(v, float) for v in (centre, half, yaw))
    return Solids.boxes(*arrays, look)


def _obstacle(
    rng: np.random.Generator, camera: Camera, spots: np.ndarray
) -> list[Solids]:
    """A thing on the ground that hides a part of one person, where there is room."""
    target = spots[int(rng.integers(len(spots)))]
    x, z = target * rng.uniform(0.55, 0.8) + [rng.normal(0, 0.15), 0]
    if z < 1 or np.hypot(*(spots - [x, z]).T).min() < 0.7:
        return []
    hides = rng.uniform(0.2, 1.0)
    top = camera.height + z / target[1] * (hides - camera.height)
    if top < 0.15 or rng.random() < 0.3:
        pole, radius = np.array([[x, 0, z]]), rng.uniform(0.02, 0.07)
        front = np.array([[0.0, 0.0, 1.0]])
        size = np.full((1, 2), radius)
        return [Solids.cones(pole, pole + [0, 3, 0], size, front, _surface(rng, 1, 30))]
    half = [[rng.uniform(0.1, 0.5), top / 2, rng.uniform(0.1, 0.25)]]
    yaw = rng.uniform(-0.6, 0.6, 1)
    return [_boxes([[x, top / 2, z]], half, yaw, _surface(rng, 1, 40))]


def _seat(rng: np.random.Generator, pose: Pose, yaw: float) -> Solids:
    """The box that a sitting person sits on."""
    top = pose.joints[0, 1] - 0.055 * pose.height
    back = turn(1, yaw) @ [0, 0, -0.05 * pose.height]
    centre = [pose.joints[0] + back]
    centre[0][1] = top / 2
    half = [[rng.uniform(0.18, 0.35), top / 2, 0.1 * pose.height]]
    return _boxes(centre, half, [np.deg2rad(-yaw)], _surface(rng, 1, 60))


def sample_scene(
    rng: np.random.Generator,
    config: SceneConfig,
    draw_pose: Callable[[np.random.Generator], Pose] = sample_pose,
) -> Scene:
    """Draw a scene.

    Args:
        rng: Source of randomness.
        config: What to draw.
        draw_pose: Gives the poses, such as ``MotionCapture.sample``.
    """
    n = int(rng.integers(config.people[0], config.people[1] + 1))
    camera, distance = _sample_camera(rng, config, n)
    spots: list[tuple[float, float]] = []
    people, bodies = [], []
    for i in range(n):
        depths = (max(2.0, distance * 0.75), max(2.2, distance * 1.6))
        margin = 0.36 if n == 1 else 0.12
        depths = (distance, distance) if i == 0 else depths
        spots.append(_spot(rng, camera, depths, spots, 0.6, margin))
        yaw = 180 + (rng.normal(0, 50) if rng.random() < 0.6 else rng.uniform(0, 360))
        pose = place(draw_pose(rng), yaw, *spots[i])
        outfit = replace(sample_outfit(rng), painted=config.painted)
        bodies.append(body_solids(pose, outfit, i))
        people.append(pose)
        if pose.action == 'sit':
            bodies.append(_seat(rng, pose, yaw))
    ground = np.array(spots)
    front = []
    if config.plain:
        behind, sky = _bare_ground()
    else:
        behind, sky = _background(rng, camera, ground)
        while len(front) < 2 and rng.random() < 0.35:
            front += _obstacle(rng, camera, ground)
    azimuth, elevation = np.deg2rad([rng.uniform(-110, 110), rng.uniform(25, 75)])
    towards = [np.sin(azimuth), np.tan(elevation), -np.cos(azimuth)]
    light = Light(
        np.array(towards) / np.linalg.norm(towards),
        rng.uniform(0.35, 0.6),
        rng.uniform(0.9, 1.05, 3),
        sky,
    )
    grade = rng.uniform([0.8, 0.85, 0.005, -1.5], [1.2, 1.1, 0.03, 0.7])
    if config.plain:
        grade = np.array([1.0, 1.0, 0.0, 0.0])
    noise = int(rng.integers(_SHIFTS))
    solids = Solids.join(behind + bodies + front)
    return Scene(camera, people, solids, light, grade, noise)


_BONES = np.array(
    [[0, 8], [8, 10], [11, 14], [1, 4], [1, 2], [2, 3], [4, 5], [5, 6], [11, 12],
     [12, 13], [14, 15], [15, 16]]
)  # fmt: skip
_BONE_WIDTH = [0.2, 0.1, 0.1, 0.15, 0.1, 0.07, 0.1, 0.07, 0.06, 0.05, 0.06, 0.05]


def _shadow(scene: Scene) -> np.ndarray:
    """Shadows of the people on the ground, 0 to 1, float32 (H, W)."""
    w, h = scene.camera.image_size
    mask = np.zeros((h, w), np.float32)
    towards = scene.light.direction
    for pose in scene.people:
        ground = pose.joints - towards * (pose.joints[:, 1:2] / towards[1])
        points = scene.camera.to_camera(ground)
        if points[:, 2].min() < 0.3:
            continue
        width = np.maximum(
            1, np.array(_BONE_WIDTH) * pose.height * scene.camera.focal / points[0, 2]
        )
        pixels = np.clip(scene.camera.project(points), -4 * w, 4 * w).astype(int)
        for (a, b), thick in zip(_BONES, width.astype(int), strict=True):
            cv2.line(mask, pixels[a].tolist(), pixels[b].tolist(), 0.75, int(thick))
    return cv2.blur(mask, (5, 5))


_SHIFTS = 1 << 14


@lru_cache(maxsize=4)
def _white(size: int) -> np.ndarray:
    rng = np.random.default_rng(6)
    return rng.standard_normal(size + _SHIFTS, np.float32)


def render(scene: Scene) -> Rendering:
    """Draw a scene."""
    depth, index = cast(scene.camera, scene.solids)
    image = shade(scene.camera, scene.solids, scene.light, depth, index, _shadow(scene))
    edge = np.zeros(index.shape, np.uint8)
    edge[:, 1:] |= index[:, 1:] != index[:, :-1]
    edge[1:] |= index[1:] != index[:-1]
    edge = cv2.dilate(edge, np.ones((2, 2), np.uint8), anchor=(0, 0))
    cv2.copyTo(cv2.GaussianBlur(image, (3, 3), 0.7), edge, image)
    exposure, contrast, strength, blur = scene.grade
    if blur > 0.3:
        image = cv2.GaussianBlur(image, (5, 5), blur)
    h, w = index.shape
    grain = _white(3 * h * w)[scene.noise : scene.noise + 3 * h * w].reshape(h, w, 3)
    gain, offset = 255 * exposure * contrast, 127.5 * (1 - contrast)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    image = cv2.addWeighted(
        bgr, gain, grain, 255 * strength, offset, dtype=cv2.CV_8U
    )  # rounds and saturates
    return Rendering(image, depth, np.append(scene.solids.owner, -1)[index])


def visibility(
    rendering: Rendering,
    points: np.ndarray,
    pixels: np.ndarray,
    under: np.ndarray,
    person: int,
) -> np.ndarray:
    """Which points of a person are seen.

    Args:
        rendering: The picture.
        points: Points in camera space, (K, 3), metres.
        pixels: Their projections, (K, 2).
        under: How far under the surface each may lie, (K,), metres.
        person: Index of the person.

    Returns:
        2 visible, 1 hidden by an object, another person or the own body, 0 outside the
        image; int (K,).
    """
    h, w = rendering.depth.shape
    inside = ((pixels >= 0) & (pixels <= [w - 1, h - 1])).all(1)
    x, y = np.clip(np.rint(pixels), 0, [w - 1, h - 1]).astype(int).T
    ahead = points[:, 2] - rendering.depth[y, x]
    hidden = ahead > np.where(rendering.person[y, x] == person, under, 0)
    return np.where(inside, 2 - hidden, 0)


def annotate(scene: Scene, rendering: Rendering) -> list[dict]:
    """Labels of the people who are seen, one dict each.

    Returns:
        ``person`` index; ``keypoints`` (17, 3) x, y, v in COCO's order, 0 0 0 outside
        the image; ``bbox`` x, y, width, height around the person's visible pixels;
        ``area``, their number; ``keypoints_3d`` (17, 3) in camera space, metres;
        ``keypoints_3d_visible`` (17,), coded as v. People with fewer than
        :data:`MIN_PIXELS` visible pixels are left out.
    """
    out = []
    camera = scene.camera
    for i, pose in enumerate(scene.people):
        mask = rendering.person == i
        area = int(np.count_nonzero(mask))
        if area < MIN_PIXELS:
            continue
        points = camera.to_camera(coco_points(pose))
        pixels = camera.project(points)
        v = visibility(rendering, points, pixels, COCO_DEPTH * pose.height, i)
        joints = camera.to_camera(pose.joints)
        x, *_, right = np.flatnonzero(mask.any(0)).tolist() * 2
        y, *_, bottom = np.flatnonzero(mask.any(1)).tolist() * 2
        out.append(
            {
                'person': i,
                'keypoints': np.column_stack([pixels, v]) * (v > 0)[:, None],
                'bbox': [x, y, right - x + 1, bottom - y + 1],
                'area': area,
                'keypoints_3d': joints,
                'keypoints_3d_visible': visibility(
                    rendering,
                    joints,
                    camera.project(joints),
                    H36M_DEPTH * pose.height,
                    i,
                ),
            }
        )
    return out
