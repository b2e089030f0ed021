#!/usr/bin/env python
r"""How much of depth a network can tell before it learns any.

What fine-tuning may find in pretrained features, without its noise: the network is
frozen, a regression from the people of a fraction of the training images predicts
depths of those of the test images, and the mean absolute errors are compared.

CONFIG is a config by its path or its name in this package; its train_dataloader and
test_dataloader give the people, with the pipeline of the latter. What is asked depends
on its head.

mmpose_pretext.IntegralPose3DHead: how much of a person's pose in depth. Predicted are
z, the depth of a keypoint behind the root in mm (0 of the root itself), and log_root,
the logarithm of the root's depth, as the codec encodes it: 0.01 is 1 % of the depth.

- constant: always the mean over the training people;
- features: by ridge regression from the mean over places of the backbone's last feature
  map;
- branch: likewise from the map of depth of a network pretrained by WSP
  (`head.depth_layer`), read at the person's true keypoints;
- features+branch: from both. What this has less than features, the branch adds.

The checkpoint is what a pretraining wrote, with its deconvolutions; without one the
network has random weights. The strength of the ridge, and how much the branch counts
beside the features, have the least leave-one-out error on the training people. Only
people whose keypoints all have a depth count.

mmpose_pretext.RelativeDepthHead: whether its map of depth, which has neither unit nor
origin, gives metres. Predicted is depth, that of the root in mm, by least squares of
its logarithm.

- constant: always the median of the training people;
- branch: log Z = a d + b log f + c, with the map's depth d of a person and the focal
  length f in pixels;
- scale: without a network, Z = c f / s, with the person's scale s in pixels a metre, of
  which the labels of the order are made;
- scale+branch: log Z = a d + b log f + c + e log s.

The annotations need `depth` and `scale`, the images a `camera` with its focal length
`fy`, as label_relative_depth.py leaves them of synthetic people. People without these,
or without a visible keypoint, are left out. It needs the checkpoint.

Example:
    python tools/benchmarks/depth_probe.py \
        integral-pose3d_res18_scratch_1xb8-6e_synthetic-128x128 \
        --checkpoint work_dirs/wsp/epoch_8.pth --fractions 0.05 --out probe.json
    python tools/benchmarks/depth_probe.py wsp_res18_1xb16-8e_synthetic-128x128 \
        --checkpoint work_dirs/wsp/epoch_8.pth --fractions 0.01 --out metres.json
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import label_efficiency  # noqa: E402
import launching  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from mmengine.config import Config, DictAction  # noqa: E402
from mmengine.logging import MMLogger  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmengine.runner import CheckpointLoader, Runner, set_random_seed  # noqa: E402
from mmpose.registry import MODELS  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from mmpose_pretext import transfer  # noqa: E402
from mmpose_pretext.engine.run_result_hook import (  # noqa: E402
    git_state,
    versions,
    write_json,
)
from mmpose_pretext.models.heads.integral_pose_3d_head import (  # noqa: E402
    IntegralPose3DHead,
)
from mmpose_pretext.models.heads.relative_depth_head import (  # noqa: E402
    RelativeDepthHead,
    read_depths,
)

STRENGTHS = 10.0 ** np.arange(-1, 7)
BRANCH_SCALES = (1.0, 3.0, 10.0, 30.0)
DEPTH_LAYER = 'head.depth_layer.'


def leave_one_out(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Return the mean squared leave-one-out errors of ridge regressions.

    With an intercept that is not shrunk. Of a linear smoother ``H y`` the error of a
    sample that it did not see is ``(y - H y)_i / (1 - H_ii)``: Golub et al.,
    *Generalized Cross-Validation as a Method for Choosing a Good Ridge Parameter*,
    1979, section 2.

    Args:
        x: Shape (N, F), standardized features.
        y: Shape (N, T), what is predicted.

    Returns:
        The error with each of :data:`STRENGTHS`.
    """
    x = x - x.mean(axis=0)
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    projected = left.T @ y
    errors = []
    for strength in STRENGTHS:
        shrink = values**2 / (values**2 + strength)
        hat = (left**2 * shrink).sum(axis=1) + 1 / len(x)
        residual = y - y.mean(axis=0) - left @ (shrink[:, None] * projected)
        errors.append(float(np.mean((residual / (1 - hat)[:, None]) ** 2)))
    return errors


def regress(
    groups: Sequence[tuple[np.ndarray, np.ndarray]], y: np.ndarray
) -> np.ndarray:
    """Predict by ridge regression, of the strength with the least leave-one-out error.

    Args:
        groups: Features of shapes (N, F) of the training people and (M, F) of the test
            people: one pair, or two, of which the second is scaled by each of
            :data:`BRANCH_SCALES` after both are standardized.
        y: Shape (N, T), what is predicted, of the training people.

    Returns:
        Shape (M, T).
    """
    standardized = []
    for train, test in groups:
        mean, spread = train.mean(axis=0), train.std(axis=0)
        spread[spread < 1e-5 * np.abs(mean) + 1e-12] = np.inf  # rounding is no feature
        standardized.append(((train - mean) / spread, (test - mean) / spread))
    best = np.inf, 0.0, 0.0
    scales = BRANCH_SCALES if len(groups) == 2 else (1.0,)
    for scale in scales:
        x = _join(standardized, 0, scale)
        for strength, error in zip(STRENGTHS, leave_one_out(x, y), strict=True):
            best = min(best, (error, strength, scale))
    _, strength, scale = best
    x, new = _join(standardized, 0, scale), _join(standardized, 1, scale)
    kernel = x @ x.T + strength * np.eye(len(x))  # x has a mean of 0
    return new @ (x.T @ np.linalg.solve(kernel, y - y.mean(axis=0))) + y.mean(axis=0)


def _join(groups: Sequence[tuple], index: int, scale: float) -> np.ndarray:
    first, *rest = (group[index] for group in groups)
    return np.concatenate([first, *(scale * part for part in rest)], axis=1)


@torch.no_grad()
def observe_poses(
    model: nn.Module, depth_layer: nn.Conv2d | None, loader: Config
) -> dict[str, np.ndarray]:
    """Return what a frozen network says of people, and their depths.

    Args:
        model: A top-down estimator with an :class:`IntegralPose3DHead`.
        depth_layer: The pretrained layer of the map of depth, if there is one.
        loader: Config of the data, whose pipeline generates the codec's targets.

    Returns:
        Of the N people whose K keypoints and root all have a depth: ``features`` of
        shape (N, C); with a depth layer ``branch`` of shape (N, K + 2), the depths at
        the keypoints, their mean and the least of them; ``z`` of shape (N, K), in mm;
        ``log_root`` of shape (N, 1).

    Raises:
        ValueError: If there is no such person.
    """
    codec = model.head.decoder
    found: dict[str, list[Tensor]] = {}
    for batch in Runner.build_dataloader(loader):
        batch = model.data_preprocessor(batch, False)
        labels = [sample.gt_instance_labels for sample in batch['data_samples']]
        places, known, roots, known_roots = (
            torch.cat([label[f'{name}_{kind}'] for label in labels])
            for name in ('keypoint', 'root_depth')
            for kind in ('labels', 'weights')
        )
        maps = model.extract_feat(batch['inputs'])[-1]
        features = dict(features=maps.mean(dim=(2, 3)))
        if depth_layer is not None:
            maps = model.head.conv_layers(model.head.deconv_layers(maps))
            depths = read_depths(depth_layer(maps), places[:, None, :, :2])[:, 0]
            summary = [depths.mean(1, keepdim=True), depths.amin(1, keepdim=True)]
            features['branch'] = torch.cat([depths, *summary], dim=1)
        voxel = codec.depth_range / codec.heatmap_size[2]
        features.update(z=places[..., 2] * voxel, log_root=roots)
        kept = (known[..., 2] > 0).all(dim=1) & (known_roots[:, 0] > 0)
        for name, value in features.items():
            found.setdefault(name, []).append(value[kept].double())
    people = {name: torch.cat(values).numpy() for name, values in found.items()}
    if not people or not len(people['z']):
        raise ValueError(
            f'{loader.dataset.get("ann_file", "the dataset")} has no person whose root '
            'and keypoints all have a depth within the codec'
        )
    return people


def pose_errors(train: dict[str, np.ndarray], test: dict[str, np.ndarray]) -> dict:
    """Return the mean absolute errors of what is predicted from what.

    Args:
        train: What :func:`observe_poses` returns of the training people.
        test: The same of the test people.

    Returns:
        ``{target}/{predictor}``, without those of the branch if there is none.
    """
    sources = [('features',)]
    if 'branch' in train:
        sources += [('branch',), ('features', 'branch')]
    values = {}
    for target in ('z', 'log_root'):
        y, truth = train[target], test[target]
        values[f'{target}/constant'] = float(np.abs(truth - y.mean(axis=0)).mean())
        for names in sources:
            groups = [(train[name], test[name]) for name in names]
            error = np.abs(regress(groups, y) - truth).mean()
            values[f'{target}/{"+".join(names)}'] = float(error)
    return values


@torch.no_grad()
def observe_order(model: nn.Module, loader: Config) -> dict[str, np.ndarray]:
    """Return what a network and perspective say of people, and their depths.

    Args:
        model: An estimator with a :class:`RelativeDepthHead`.
        loader: Config of the data.

    Returns:
        Of N people: ``branch``, ``focal`` and ``scale``, of shape (N,), the predicted
        depth and logarithms of focal length and scale; ``depth``, in mm.

    Raises:
        ValueError: If images have no camera, or nobody a depth and a scale.
    """
    (file,) = label_efficiency.annotation_files(loader.dataset)
    images = {image['id']: image for image in json.loads(file.read_text())['images']}
    rows = []
    for batch in Runner.build_dataloader(loader):
        for sample in model.test_step(batch):
            camera = images[sample.img_id].get('camera')
            if camera is None:
                raise ValueError(f'{file}: image {sample.img_id} has no camera')
            people = zip(sample.pred_instances.depths, sample.raw_ann_info, strict=True)
            rows += [
                (depth, camera['fy'], person['scale'], 1000 * person['depth'])
                for depth, person in people
                if np.isfinite(depth) and person.get('scale') and person.get('depth')
            ]
    if not rows:
        raise ValueError(
            f'{file}: nobody has a visible keypoint, a scale and a depth; '
            'tools/dataset_converters/label_relative_depth.py adds them to synthetic '
            'people'
        )
    branch, focal, scale, depth = np.array(rows, dtype=float).T
    return dict(branch=branch, focal=np.log(focal), scale=np.log(scale), depth=depth)


def order_errors(train: dict[str, np.ndarray], test: dict[str, np.ndarray]) -> dict:
    """Return the mean absolute error in mm of each way to tell the depth.

    Args:
        train: What :func:`observe_order` returns of the training people.
        test: The same of the test people.
    """
    truth = np.log(train['depth'])

    def rule(people: dict[str, np.ndarray]) -> np.ndarray:
        return people['focal'] - people['scale']

    def fitted(*names: str) -> np.ndarray:
        x, new = (
            np.column_stack([*(p[name] for name in names), np.ones(len(p['depth']))])
            for p in (train, test)
        )
        # rounding of the network's float32 is no feature
        return new @ np.linalg.lstsq(x, truth, rcond=1e-5)[0]

    predicted = {
        'constant': np.full(len(test['depth']), np.log(np.median(train['depth']))),
        'branch': fitted('branch', 'focal'),
        'scale': rule(test) + np.mean(truth - rule(train)),
        'scale+branch': fitted('branch', 'focal', 'scale'),
    }
    return {
        f'depth/{name}': float(np.abs(np.exp(value) - test['depth']).mean())
        for name, value in predicted.items()
    }


def load_for_poses(model: nn.Module, checkpoint: str | None) -> nn.Conv2d | None:
    """Give a network pretrained weights, or random ones.

    Args:
        model: A top-down estimator with an :class:`IntegralPose3DHead`.
        checkpoint: File that a pretraining wrote.

    Returns:
        The layer of the map of depth, if the checkpoint has one.

    Raises:
        ValueError: If the checkpoint does not fit.
    """
    if checkpoint is None:
        MMLogger.get_current_instance().setLevel('WARNING')  # it logs each tensor
        model.init_weights()
        return None
    transfer.PretrainedBackbone(checkpoint)(model.backbone)
    transfer.PretrainedDeconv(checkpoint)(model.head)
    tensors = read_tensors(checkpoint)
    if not any(name.startswith(DEPTH_LAYER) for name in tensors):
        return None
    layer = transfer.strip_prefix(tensors, DEPTH_LAYER)
    wanted = (1, model.head.final_layer.in_channels, 1, 1)
    if layer['weight'].shape != wanted:
        raise ValueError(
            f'{checkpoint}: {DEPTH_LAYER}weight must have the shape {wanted}, of one '
            'map of depth for all keypoints (depth_per_keypoint and coordinates are '
            f'not supported), but has {tuple(layer["weight"].shape)}'
        )
    depth_layer = nn.Conv2d(wanted[1], 1, 1)
    depth_layer.load_state_dict(layer)
    return depth_layer


def load_for_order(model: nn.Module, checkpoint: str | None) -> None:
    """Give a network all the weights of its pretraining.

    Raises:
        ValueError: If there is no checkpoint, or it does not fit.
    """
    if checkpoint is None:
        raise ValueError('the map of depth of a RelativeDepthHead needs --checkpoint')
    tensors = read_tensors(checkpoint)
    found = transfer.match(tensors, model, claimed=False)
    try:
        transfer.check_coverage(found, 1.0)
    except ValueError as error:
        raise ValueError(f'{checkpoint}: {error}') from None
    model.load_state_dict(tensors)


def read_tensors(checkpoint: str) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint."""
    loaded = CheckpointLoader.load_checkpoint(checkpoint, 'cpu', logger='silent')
    return transfer.model_tensors(loaded)


def count(people: dict[str, np.ndarray]) -> int:
    """Return how many people were observed."""
    return len(next(iter(people.values())))


def run(args: argparse.Namespace) -> None:
    """Probe and write the result."""
    if args.out.exists() and not args.force:
        raise FileExistsError(f'{args.out} exists; --force overwrites it')
    for fraction in args.fractions:
        if not 0 < fraction <= 1:
            raise ValueError(f'--fractions must be in (0, 1], but got {fraction}')
    cfg = Config.fromfile(launching.find_config(args.config))
    launching.check_checkpoint(args.checkpoint)
    options = args.cfg_options or {}
    launching.apply_options(cfg, options)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    set_random_seed(args.seed)
    for part in ('backbone', 'head'):
        cfg.model[part].pop('init_cfg', None)
    model = MODELS.build(cfg.model).eval()
    head = getattr(model, 'head', None)
    loader = cfg.test_dataloader
    used = label_efficiency.hashed_files(loader.dataset)
    if isinstance(head, IntegralPose3DHead):
        depth_layer = load_for_poses(model, args.checkpoint)
        *pipeline, pack = loader.dataset.pipeline
        encode = dict(type='GenerateTarget', encoder=cfg.model.head.decoder)
        loader.dataset.pipeline = [*pipeline, encode, pack]
        observe, errors = partial(observe_poses, model, depth_layer), pose_errors
    elif isinstance(head, RelativeDepthHead):
        load_for_order(model, args.checkpoint)
        observe, errors = partial(observe_order, model), order_errors
    else:
        raise ValueError(
            f'{cfg.filename}: the head must be an IntegralPose3DHead or a '
            f'RelativeDepthHead, but is a {type(head).__name__}'
        )

    test = observe(loader)
    metrics, people = {}, {}
    for fraction in args.fractions:
        training = loader.copy()
        training.dataset = label_efficiency.take_fraction(
            dict(cfg.train_dataloader.dataset, pipeline=loader.dataset.pipeline),
            fraction,
            seed=args.seed,
        )
        train = observe(training)
        name = f'{100 * fraction:g}pct'
        people[name] = count(train)
        for key, value in errors(train, test).items():
            metrics[f'{name}/{key}'] = value
            print(f'{name}/{key}: {value:.4f}', flush=True)
    source = None
    if args.checkpoint is not None:
        digest = label_efficiency.sha256(args.checkpoint)
        source = dict(file=Path(args.checkpoint).name, sha256=digest)
    result = dict(
        config=Path(cfg.filename).stem,
        checkpoint=source,
        seed=args.seed,
        metrics=metrics,
        info=dict(evaluated_on=used, people=people, people_test=count(test)),
        cfg_options=options,
        versions=versions(),
        git=git_state(Path(__file__).parent),
    )
    write_json(args.out, result)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', metavar='CONFIG', help='path or name of a config')
    parser.add_argument(
        '--checkpoint', metavar='FILE.pth', help='pretraining (default: random weights)'
    )
    parser.add_argument(
        '--fractions',
        nargs='+',
        type=float,
        default=[0.05],
        help='of the training images, in (0, 1] (default: 0.05)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='of the fractions, as in label_efficiency.py, and of random weights '
        '(default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        required=True,
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
        print(f'depth_probe.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
