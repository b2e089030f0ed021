#!/usr/bin/env python
r"""Evaluate predictions that know nothing of the image, with the metrics of a config.

A location-free model may learn where a keypoint usually is in a person's box, and
nothing else. These are the numbers that it then has:

- median: always the median pose, for each keypoint the median of its places in the
  boxes of the training set, over the people in which it is annotated (the centre of
  the box if there is none);
- random: a uniformly random place in the box, for each person and keypoint.

CONFIG is any top-down config, by its path or its name in this package. The people are
those of its train_dataloader and test_dataloader, the metrics those of its
test_evaluator that look at places only; the others are left out. Neither a network nor
an image is needed.

Example:
    python tools/benchmarks/constant_pose.py --pose median \
        td-hm_res18_scratch_1xb32-14e_lspet-128x96
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import label_efficiency  # noqa: E402
import launching  # noqa: E402
import mmpose.evaluation.metrics as stock  # noqa: E402
import numpy as np  # noqa: E402
from mmcv.transforms import Compose  # noqa: E402
from mmengine.config import Config, DictAction  # noqa: E402
from mmengine.dataset import BaseDataset  # noqa: E402
from mmengine.evaluator import BaseMetric, Evaluator  # noqa: E402
from mmengine.registry import METRICS, DefaultScope  # noqa: E402
from mmengine.structures import InstanceData  # noqa: E402
from mmpose.datasets.transforms import GetBBoxCenterScale, PackPoseInputs  # noqa: E402
from mmpose.structures import PoseDataSample  # noqa: E402

from mmpose_pretext.engine.run_result_hook import git_state, write_json  # noqa: E402
from mmpose_pretext.registry import DATASETS  # noqa: E402

LABELS = dict(median='always the median pose', random='random place in the box')
# and what derives from them, LeftRightConfusion among them
LOCATION_METRICS = (
    stock.PCKAccuracy,
    stock.AUC,
    stock.EPE,
    stock.NME,
    stock.CocoMetric,
)


def build_dataset(config: dict) -> BaseDataset:
    """Build a dataset, or a wrapper of some, without its pipelines.

    Args:
        config: Config of the dataset.

    Raises:
        ValueError: If it cannot be built, as without its files.
    """

    def without_pipelines(value: object) -> object:
        if isinstance(value, dict):
            return {
                key: [] if key == 'pipeline' else without_pipelines(child)
                for key, child in value.items()
            }
        if isinstance(value, list):
            return [without_pipelines(child) for child in value]
        return value

    try:
        return DATASETS.build(without_pipelines(config))
    except AssertionError as error:  # how MMPose says that there is no such file
        raise ValueError(f'the {config["type"]} cannot be built: {error}') from error


def people(dataset: BaseDataset) -> Iterator[dict]:
    """Yield the annotation of each person of a dataset.

    Raises:
        ValueError: If a sample is not one person with a box and keypoints.
    """
    shape = (1, dataset.metainfo['num_keypoints'], 2)
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        shapes = [np.shape(info.get(key)) for key in ('bbox', 'keypoints')]
        if shapes != [(1, 4), shape]:
            raise ValueError(
                f'sample {index} of the {type(dataset).__name__} must be one person '
                f'with a bbox of shape (1, 4) and keypoints of shape {shape}, as of a '
                f'top-down dataset with keypoint annotations, but has {shapes}'
            )
        yield info


def median_pose(infos: Sequence[dict]) -> np.ndarray:
    """Return the median pose of people in their boxes.

    Args:
        infos: Annotations with K keypoints, as from :func:`people`.

    Returns:
        Shape (K, 2): x and y in widths and heights of the box, from its corner.
    """
    boxes, points, visible = (
        np.concatenate([info[key] for info in infos])
        for key in ('bbox', 'keypoints', 'keypoints_visible')
    )
    corner, size = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
    places = np.where(visible[..., None] > 0, (points - corner) / size, np.nan)
    pose = np.full(places.shape[1:], 0.5)
    annotated = (visible > 0).any(axis=0)
    pose[annotated] = np.nanmedian(places[:, annotated], axis=0)
    return pose


def predict(dataset: BaseDataset, poses: Iterator[np.ndarray]) -> list[PoseDataSample]:
    """Predict a pose in the box of each person, as a top-down estimator would.

    Args:
        dataset: Set to predict on, of N people with K keypoints.
        poses: Poses of shape (K, 2), in widths and heights of the box.

    Returns:
        N data samples with the annotation and the prediction in pixels of the image.
    """
    pack = Compose([GetBBoxCenterScale(), PackPoseInputs()])
    no_image = np.zeros((1, 1, 3), dtype=np.uint8)
    samples = []
    for info, pose in zip(people(dataset), poses, strict=True):
        sample = pack(dict(info, img=no_image))['data_samples']
        boxes = sample.gt_instances.bboxes
        keypoints = boxes[:, None, :2] + pose * (boxes[:, 2:] - boxes[:, :2])
        scores = np.ones(keypoints.shape[:2], dtype=np.float32)
        sample.pred_instances = InstanceData(
            keypoints=keypoints,
            keypoint_scores=scores,
            keypoints_visible=scores,
            bboxes=boxes,
            bbox_scores=sample.gt_instances.bbox_scores,
        )
        samples.append(sample)
    return samples


def build_metrics(config: dict | list) -> tuple[list[BaseMetric], list[str]]:
    """Build the metrics of a ``test_evaluator`` that look at places only.

    Args:
        config: Config of an evaluator, of a metric or of several.

    Returns:
        The metrics, and the types of those that are left out.

    Raises:
        ValueError: If none remains or the evaluator is another than MMEngine's.
    """
    if isinstance(config, dict):
        if config.get('type', 'Evaluator') != 'Evaluator' and 'metrics' in config:
            raise ValueError(
                f'test_evaluator must be an Evaluator, not {config["type"]}'
            )
        config = config.get('metrics', config)
    configs = [config] if isinstance(config, dict) else config
    kept, left_out = [], []
    for item in configs:
        metric = METRICS.build(item)
        if isinstance(metric, LOCATION_METRICS):
            kept.append(metric)
        else:
            left_out.append(item['type'])
    if not kept:
        raise ValueError(
            f'test_evaluator has no metric that looks at places only, but {left_out}'
        )
    return kept, left_out


def evaluate(cfg: Config, pose: str, seed: int) -> tuple[dict, list[str]]:
    """Evaluate a predictor that knows nothing of the image.

    Args:
        cfg: Config of a top-down model.
        pose: ``'median'`` or ``'random'``.
        seed: Seed of the random places.

    Returns:
        The result, as :func:`results.collect` makes it: ``label``, ``config``,
        ``seed``, ``images`` (training people whose places were used), ``metrics``,
        ``info`` (what was ``evaluated_on``) and ``git``. And the types of the metrics
        that were left out.
    """
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmpose')):
        metrics, left_out = build_metrics(cfg.test_evaluator)
        test = build_dataset(cfg.test_dataloader.dataset)
        images = 0
        if pose == 'median':
            train = build_dataset(cfg.train_dataloader.dataset)
            names = [set_.metainfo['keypoint_id2name'] for set_ in (train, test)]
            if names[0] != names[1]:
                raise ValueError(
                    'train_dataloader and test_dataloader must have the same '
                    f'keypoints, but have {names[0]} and {names[1]}'
                )
            # LabelFraction: the places of the rest are not known in training
            known = [info for info in people(train) if info.get('located', True)]
            images = len(known)
            constant = median_pose(known)
            poses = (constant for _ in range(len(test)))
        else:
            rng = np.random.default_rng(seed)
            shape = test.metainfo['num_keypoints'], 2
            poses = (rng.uniform(size=shape) for _ in range(len(test)))
        evaluator = Evaluator(metrics)
        evaluator.dataset_meta = test.metainfo
        evaluator.process(predict(test, poses))
        values = evaluator.evaluate(len(test))
    result = dict(
        label=LABELS[pose],
        config=Path(cfg.filename).stem,
        seed=seed,
        images=images,
        metrics={name: float(value) for name, value in values.items()},
        info=dict(
            evaluated_on=label_efficiency.hashed_files(cfg.test_dataloader.dataset)
        ),
        git=git_state(Path(__file__).parent),
    )
    return result, left_out


def run(args: argparse.Namespace) -> None:
    """Evaluate and report."""
    if args.out is not None and args.out.exists() and not args.force:
        raise FileExistsError(f'{args.out} exists; --force overwrites it')
    cfg = Config.fromfile(launching.find_config(args.config))
    launching.apply_options(cfg, args.cfg_options or {})
    for key in ('train_dataloader', 'test_dataloader', 'test_evaluator'):
        if not cfg.get(key):
            raise ValueError(f'{cfg.filename} has no {key}')
    result, left_out = evaluate(cfg, args.pose, args.seed)
    print(json.dumps(result['metrics'], indent=1))
    if left_out:
        print(f'left out, as they need more than places: {", ".join(left_out)}')
    if args.out is not None:
        write_json(args.out, result)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', metavar='CONFIG', help='top-down config')
    parser.add_argument('--pose', choices=LABELS, required=True, help='what to predict')
    parser.add_argument(
        '--seed', type=int, default=0, help='of random places (default: %(default)s)'
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE.json',
        help='result to write, for a table of results.py',
    )
    parser.add_argument('--force', action='store_true', help='overwrite FILE.json')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes of the config; a key that it does not have needs a leading +',
    )
    args = parser.parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError) as error:
        print(f'constant_pose.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
