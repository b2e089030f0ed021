#!/usr/bin/env python
r"""Measure the depth-order labels that perspective gives, where true depths are known.

People, their keypoints and their root depths come from

- motion capture: real poses, turned and placed on a ground, 8 in a scene at depths of 3
  to 15 m (uniform in the logarithm), all in an image of 1000x750 pixels; the camera is
  0.8 to 3 m high and has a vertical field of view of 24 to 58 degrees. Nobody hides
  anybody. Scenarios differ by one thing each, as their column `config` says:
  height_spread (standard deviation of the heights / mean), children (their share; 1.0
  to 1.5 m tall, with the proportions of adults), seated (share of people who sit, in
  drawn poses), stairs (people stand up to so many metres above or below the ground),
  noise (standard deviation of x and of y / root of the area of the person's box;
  0.05 is about that of COCO's annotators), truncated (depths begin at 1.5 m, and five
  joints in the image are enough);
- CMU Panoptic: bodies and HD cameras of the samples of MMPose's tests, three seated
  musicians in two groups, seen by 31 cameras in two neighbouring frames each;
- synthetic scenes (mmpose_pretext.synthetic), 2 to 6 people of which 12 % are children,
  hidden by each other and by things, at 256x256 pixels; with drawn poses, a fifth of
  them on seats, crouching or bent, or with those of the motion capture.

Each row is a json in OUT that `results.py tables` reads. Its metrics are, for each rule
such as `scale+ground+filters@1.1` (cues, filters, tau), the share of all pairs that are
`labelled` and the share of these that are `correct`. With `filters`, people who are
truncated, tiny or inconsistent are in no pair, with `seated` neither are those who sit.
Instead of a tau, `confident80` labels the 80 % of all pairs whose labels at tau 1 are
the most confident, or all labelled if these are fewer. `rejected/REASON` is a share of
people. `limbs/arm` and `limbs/leg` are the shares of people whose arms and legs get a
label of their order, `limbs/elbow` and so on the shares of these that are correct.

Examples:
    python tools/benchmarks/relative_depth_labels.py \
        configs/wsp/results/relative_depth_labels
    python tools/benchmarks/relative_depth_labels.py work_dirs/labels \
        --label 'small children on stairs' --children 0.5 --stairs 1
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import results  # noqa: E402
from mmpose.datasets.datasets.utils import parse_pose_metainfo  # noqa: E402
from rich.progress import track  # noqa: E402

from mmpose_pretext.engine.run_result_hook import git_state, write_json  # noqa: E402
from mmpose_pretext.perspective import (  # noqa: E402
    HEIGHT,
    USUAL_FILTERS,
    filter_people,
    find_bones,
    ground_point,
    keypoint_indices,
    limb_order,
    pair_labels,
    person_scale,
)
from mmpose_pretext.synthetic import (  # noqa: E402
    Camera,
    MotionCapture,
    Pose,
    SceneConfig,
    annotate,
    render,
    sample_pose,
    sample_scene,
)
from mmpose_pretext.synthetic.dataset import CATEGORY  # noqa: E402
from mmpose_pretext.synthetic.scene import place  # noqa: E402
from mmpose_pretext.synthetic.skeleton import H36M_JOINTS  # noqa: E402

People = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""People of an image: keypoints (N, K, 2), visible (N, K), depths of keypoints (N, K),
NaN where not known, and of roots (N,)."""

TAUS = (1.0, 1.05, 1.1, 1.15, 1.2, 1.3)
CUES = (('scale',), ('scale', 'ground'), ('ground',))
FILTERS = {
    '': [],
    '+filters': USUAL_FILTERS,
    '+filters+seated': [*USUAL_FILTERS, 'seated'],
}
IMAGE_SIZE = (1000, 750)
PEOPLE = 8
MIN_JOINTS = 5
LIMBS = dict(arm=('elbow', 'wrist'), leg=('knee', 'ankle'))
AIM = 5000  # people a second


@dataclass(frozen=True)
class Scenario:
    """What people do in scenes of motion capture; see the top of this file."""

    height_spread: float = 0.05
    children: float = 0.0
    seated: float = 0.0
    stairs: float = 0.0
    noise: float = 0.0
    truncated: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no share or no length."""
        limits = dict(height_spread=0.2, stairs=2.0, noise=0.5)
        for name, value in asdict(self).items():
            limit = limits.get(name, 1)
            if not 0 <= value <= limit:
                raise ValueError(f'{name} must be within 0 and {limit}, got {value}')

    def __str__(self) -> str:
        """Name what differs from the default."""
        changed = {
            key: value
            for key, value in asdict(self).items()
            if value != getattr(Scenario, key) or key == 'height_spread'
        }
        return ' '.join(f'{key}={value}' for key, value in changed.items())


SCENARIOS = {
    'adults on a common ground': Scenario(),
    'heights of 8 % spread': Scenario(height_spread=0.08),
    '15 % children': Scenario(children=0.15),
    '30 % seated': Scenario(seated=0.3),
    'on stairs': Scenario(stairs=0.5),
    'noise of 2 % of the box': Scenario(noise=0.02),
    'noise of 5 % of the box': Scenario(noise=0.05),
    'cut by the image': Scenario(truncated=True),
    'all of these': Scenario(0.08, 0.15, 0.3, 0.5, 0.05, True),
}


def draw_people(
    rng: np.random.Generator, motion: MotionCapture, scenario: Scenario
) -> People:
    """Draw a scene of a scenario, in Human3.6M's joints."""
    near, far = 1.5 if scenario.truncated else 3.0, 15.0
    width, height = IMAGE_SIZE

    def draw_depth() -> float:
        return float(np.exp(rng.uniform(np.log(near), np.log(far))))

    focal = height / 2 / np.tan(np.deg2rad(rng.uniform(24, 58)) / 2)
    above = rng.uniform(0.8, 3)
    pitch = np.arctan2(above - HEIGHT / 2, draw_depth()) + rng.normal(0, 0.03)
    camera = Camera(IMAGE_SIZE, float(focal), above, float(pitch))
    people = []
    while len(people) < PEOPLE:
        sits = rng.random() < scenario.seated
        pose = sample_pose(rng, 'sit') if sits else motion.sample(rng)
        tall = HEIGHT * rng.normal(1, scenario.height_spread)
        if rng.random() < scenario.children:
            tall = rng.uniform(1.0, 1.5)
        z = draw_depth()
        x = rng.uniform(-0.5, 0.5) * z * width / focal
        joints = place(pose, rng.uniform(0, 360), 0, 0).joints * tall / pose.height
        step = rng.uniform(-1, 1) * scenario.stairs
        joints = camera.to_camera(joints + [x, step, z])
        if joints[:, 2].min() < 0.3:
            continue
        pixels = camera.project(joints)
        noise = scenario.noise * np.sqrt(np.prod(np.ptp(pixels, axis=0)))
        inside = ((pixels >= 0) & (pixels < IMAGE_SIZE)).all(1)
        pixels = pixels + noise * rng.normal(size=pixels.shape)
        if inside.sum() >= (MIN_JOINTS if scenario.truncated else len(inside)):
            people.append((pixels, inside, joints[:, 2], joints[0, 2]))
    return tuple(map(np.stack, zip(*people, strict=True)))


def draw_synthetic(
    rng: np.random.Generator, draw_pose: Callable[[np.random.Generator], Pose]
) -> People:
    """Draw a synthetic scene, in COCO's keypoints; two people or more are seen."""
    while True:
        scene = sample_scene(rng, SceneConfig(people=(2, 6)), draw_pose)
        people = annotate(scene, render(scene))
        if len(people) > 1:
            keypoints = np.stack([person['keypoints'] for person in people])
            depths = np.stack([person['keypoints_3d'][:, 2] for person in people])
            index = keypoint_indices(H36M_JOINTS)
            own = np.array([index.get(name, -1) for name in CATEGORY['keypoints']])
            known = np.where(own < 0, np.nan, depths[:, own])
            return keypoints[..., :2], keypoints[..., 2] > 0, known, depths[:, 0]


def read_panoptic(folder: Path) -> Iterator[People]:
    """Read the people of CMU Panoptic as its HD cameras see them.

    A camera's view counts if two people have :data:`MIN_JOINTS` joints in the image and
    a known middle of the hips.

    Args:
        folder: Holds ``SEQUENCE/calibration_SEQUENCE.json`` and
            ``SEQUENCE/hdPose3d_stage1_coco19/*.json``.

    Raises:
        FileNotFoundError: If it holds none, or a calibration is missing.
    """
    files = sorted(folder.glob('*/hdPose3d_stage1_coco19/*.json'))
    if not files:
        raise FileNotFoundError(
            f'panoptic: {folder} has no */hdPose3d_stage1_coco19/*.json'
        )
    for file in files:
        bodies = json.loads(file.read_text())['bodies']
        joints = np.array([body['joints19'] for body in bodies]).reshape(-1, 19, 4)
        joints = joints[joints[:, 2, 3] > 0]
        sequence = file.parents[1]
        cameras = sequence / f'calibration_{sequence.name}.json'
        for camera in json.loads(cameras.read_text())['cameras']:
            if camera['type'] != 'hd':
                continue
            k, r, t, distortion = (
                np.array(camera[key], float) for key in ('K', 'R', 't', 'distCoef')
            )
            points = joints[..., :3] @ r.T + t[:, 0]
            size = np.array(camera['resolution'])
            ahead = points[..., 2] > 0
            pinhole = (points / np.where(ahead, points[..., 2], 1)[..., None]) @ k.T
            # far outside the image the distortion's polynomial would fold back into it
            near = (np.abs(pinhole[..., :2] / size - 0.5) < 0.7).all(-1)
            zero = np.zeros(3)
            pixels, _ = cv2.projectPoints(
                points.reshape(-1, 1, 3), zero, zero, k, distortion
            )
            pixels = pixels.reshape(*ahead.shape, 2)
            visible = ((pixels >= 0) & (pixels < size)).all(-1) & ahead & near
            visible &= joints[..., 3] > 0
            seen = visible.sum(1) >= MIN_JOINTS
            if seen.sum() > 1:
                depths = points[seen, :, 2] / 100
                depths[joints[seen, :, 3] <= 0] = np.nan
                yield pixels[seen], visible[seen], depths, depths[:, 2]


def evaluate(
    scenes: Iterable[People], keypoint_names: Sequence[str], taus: Sequence[float]
) -> dict[str, float]:
    """Compare labels with true depths.

    Args:
        scenes: The people of each image.
        keypoint_names: Names of their keypoints.
        taus: Thresholds.

    Returns:
        Shares of pairs and people, as the top of this file says; NaN of no pair.
    """
    bones = find_bones(keypoint_names)
    pairs, people = 0, []
    index = keypoint_indices(keypoint_names)
    labels = {
        (cues, filters, tau): []
        for cues in CUES
        for filters in FILTERS
        for tau in {1.0, *taus}
    }
    limbs = {limb: [] for limb in LIMBS}
    for keypoints, visible, keypoint_depths, depth in scenes:
        order = limb_order(keypoints, visible, keypoint_names)
        for limb, joints in LIMBS.items():
            limbs[limb].append(_limbs_in_order(order, keypoint_depths, joints, index))
        pairs += len(depth) * (len(depth) - 1) // 2
        scale, confidence = person_scale(keypoints, visible, *bones)
        ground = ground_point(keypoints, visible, keypoint_names)
        rejected = filter_people(keypoints, visible, keypoint_names)
        people.append(np.stack(list(rejected.values()), axis=1))
        trusted = {
            name: np.where(
                np.any([rejected[r] for r in reasons], axis=0), np.nan, scale
            )
            for name, reasons in FILTERS.items()
        }
        for (cues, filters, tau), found in labels.items():
            pair, relation, certainty = pair_labels(
                trusted[filters], confidence, ground, tau, cues
            )
            correct = relation == np.sign(depth[pair[:, 0]] - depth[pair[:, 1]])
            found.append(np.stack([certainty, correct], axis=1))
    metrics = {}
    for (cues, filters, tau), found in labels.items():
        rule = '+'.join(cues) + filters
        certainty, correct = np.concatenate(found).T
        best = np.argsort(-certainty, kind='stable')[: round(0.8 * pairs)]
        rules = {f'{rule}@{tau:g}': correct} if tau in taus else {}
        if tau == 1:
            rules[f'{rule}@confident80'] = correct[best]
        for name, right in rules.items():
            metrics[f'{name}/labelled'] = len(right) / pairs
            metrics[f'{name}/correct'] = right.mean() if len(right) else np.nan
    for limb, joints in LIMBS.items():
        right = np.concatenate(limbs[limb])
        right = right[np.isfinite(right[:, 0])]
        metrics[f'limbs/{limb}'] = len(right) / sum(map(len, people))
        shares = right.mean(0) if len(right) else [np.nan] * len(joints)
        metrics |= {f'limbs/{k}': v for k, v in zip(joints, shares, strict=True)}
    shares = np.concatenate(people).mean(0)
    metrics |= {f'rejected/{k}': v for k, v in zip(rejected, shares, strict=True)}
    return {name: float(value) for name, value in metrics.items()}


def _limbs_in_order(
    order: np.ndarray,
    depths: np.ndarray,
    joints: Sequence[str],
    index: dict[str, int],
) -> np.ndarray:
    """Tell whether labels of limbs are right, (N, J); NaN without one."""
    left, right = ([index[f'{side}_{j}'] for j in joints] for side in ('left', 'right'))
    labels, gaps = np.sign(order[:, left]), depths[:, left] - depths[:, right]
    return np.where(labels == 0, np.nan, labels == np.sign(gaps))


def people_per_second(
    scenes: Sequence[People], keypoint_names: Sequence[str], repeats: int = 5
) -> float:
    """Time labels by scale and ground and all filters, image by image, on one core."""
    bones = find_bones(keypoint_names)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        for keypoints, visible, *_ in scenes:
            scale, confidence = person_scale(keypoints, visible, *bones)
            ground = ground_point(keypoints, visible, keypoint_names)
            for rejected in filter_people(keypoints, visible, keypoint_names).values():
                scale[rejected] = np.nan
            pair_labels(scale, confidence, ground, cues=('scale', 'ground'))
        times.append(time.process_time() - start)
    return sum(len(depth) for *_, depth in scenes) / median(times)


def run(args: argparse.Namespace) -> None:
    """Measure, write and report."""
    own = {
        field.name: getattr(args, field.name)
        for field in fields(Scenario)
        if getattr(args, field.name) is not None
    }
    scenarios = {args.label: Scenario(**own)} if own else SCENARIOS
    motion = MotionCapture(args.poses)

    def draw(function: Callable[..., People], *options: object) -> list[People]:
        rng = np.random.default_rng(args.seed)
        return [function(rng, *options) for _ in range(args.scenes)]

    rows = {
        label: (
            str(scenario),
            H36M_JOINTS,
            partial(draw, draw_people, motion, scenario),
        )
        for label, scenario in scenarios.items()
    }
    if not own:
        layout = parse_pose_metainfo(
            dict(from_file='configs/_base_/datasets/panoptic_body3d.py')
        )
        panoptic = list(read_panoptic(args.panoptic))
        rows['Panoptic, seated'] = (
            'HD cameras',
            list(layout['keypoint_name2id']),
            lambda: panoptic,
        )
        for kind, draw_pose in (('drawn', sample_pose), ('real', motion.sample)):
            rows[f'synthetic, {kind} poses'] = (
                '256x256',
                CATEGORY['keypoints'],
                partial(draw, draw_synthetic, draw_pose),
            )
    files = {
        label: args.out / f'{i:02d}_{re.sub("[^a-z0-9]+", "-", label.lower())}.json'
        for i, label in enumerate(rows, 1)
    }
    existing = [file for file in files.values() if file.exists()]
    if existing and not args.force:
        raise FileExistsError(f'{existing[0]} exists; --force overwrites it')
    for label, (config, names, make_scenes) in track(list(rows.items()), 'rows'):
        scenes = make_scenes()
        speed = people_per_second(scenes, names)
        print(f'{label}: {speed:,.0f} people/s, {speed / AIM:.1f} times {AIM:,}')
        content = dict(
            label=label,
            config=config,
            seed=args.seed,
            images=len(scenes),
            people=sum(len(depth) for *_, depth in scenes),
            people_per_second=round(speed),
            metrics=evaluate(scenes, names, args.tau),
            git=git_state(Path(__file__).parent),
        )
        write_json(files[label], content)
    shown = [
        f'{rule}@confident80/{value}'
        for rule in ('scale', 'scale+ground', 'scale+ground+filters')
        for value in ('labelled', 'correct')
    ]
    print(results.make_table(args.out, shown))


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = Path(os.environ.get('PRETEXT_DATA', 'data'))
    parser.add_argument('out', type=Path, metavar='OUT', help='folder of results')
    parser.add_argument(
        '--poses',
        type=Path,
        default=data / 'mocap' / 'bandai_h36m17.npz',
        help='motion capture (default: below $PRETEXT_DATA, %(default)s)',
    )
    parser.add_argument(
        '--panoptic',
        type=Path,
        default=data / 'fixtures' / 'panoptic_body3d',
        help='sequences of CMU Panoptic (default: below $PRETEXT_DATA, %(default)s)',
    )
    parser.add_argument('--scenes', type=int, default=1000, help='of each row')
    parser.add_argument('--seed', type=int, default=0, help='(default: %(default)s)')
    parser.add_argument('--tau', type=float, nargs='+', default=TAUS)
    parser.add_argument('--force', action='store_true', help='overwrite results')
    group = parser.add_argument_group(
        'a scenario of your own, the only row if any of these is given'
    )
    group.add_argument('--label', default='own scenario', help='name of its row')
    for field in fields(Scenario):
        kind = (
            dict(action='store_const', const=True)
            if field.type is bool
            else dict(type=float)
        )
        group.add_argument(f'--{field.name.replace("_", "-")}', **kind)
    args = parser.parse_args(argv)
    if args.scenes < 1:
        parser.error(f'--scenes must be 1 or more, got {args.scenes}')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    args = parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError) as error:
        print(f'relative_depth_labels.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
