r"""Measure how fast a CPU trains models of top-down configs, and print the ratios.

Times the training step (forward, loss, backward, optimizer) with the stock
OptimWrapper and with mmpose_pretext.CPUAmpOptimWrapper in float32 and in bfloat16, the
latter also without the optimizer's fused kernel. The model, the optimizer and the
training pipeline are those of the config; the images and the people are random. All are
timed in this process, one step each in turns, so that other load on the machine hits
all of them alike.

Example:
    python tools/benchmarks/training_speed.py \
        configs/hsjp/benchmarks/td-hm_res18_scratch_1xb32-14e_lspet-128x96.py
"""

import argparse
import platform
import sys
import time
from copy import deepcopy
from pathlib import Path
from statistics import median

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, DefaultScope
from rich.progress import track

from mmpose_pretext.engine.cpu_amp_optim_wrapper import CPUINFO, has_bf16_instructions

OURS = 'mmpose_pretext.CPUAmpOptimWrapper'
WRAPPERS = {
    'float32, stock': dict(type='OptimWrapper'),
    'float32, channels-last': dict(type=OURS, dtype='float32'),
    'bfloat16, channels-last': dict(type=OURS, dtype='bfloat16'),
    'bfloat16, channels-last, step not fused': dict(
        type=OURS, dtype='bfloat16', fused=False
    ),
}
IMAGE_SIZE = (320, 240)


def make_batch(config: dict, batch_size: int) -> dict:
    """Send random people through a training pipeline.

    Args:
        config: Config of a top-down dataset, whose pipeline begins with loading the
            image. Its files are not read.
        batch_size: Number of people, each in an image of random pixels.

    Returns:
        What ``train_step`` takes.
    """
    dataset = DATASETS.build(dict(config, lazy_init=True))
    metainfo = dataset.metainfo
    height, width = IMAGE_SIZE
    rng = np.random.default_rng(0)
    np.random.seed(0)  # noqa: NPY002 - what the transforms use
    samples = []
    for index in range(batch_size):
        sample = dict(
            deepcopy(metainfo),
            id=index,
            img_id=index,
            img_path='',
            img=rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
            img_shape=(height, width),
            ori_shape=(height, width),
            bbox=np.array([[0, 0, width, height]], dtype=np.float32),
            bbox_score=np.ones(1, dtype=np.float32),
        )
        keypoints = metainfo.get('num_keypoints', 0)
        if keypoints:
            points = rng.uniform((0, 0), (width, height), (1, keypoints, 2))
            sample['keypoints'] = points.astype(np.float32)
            sample['keypoints_visible'] = np.ones((1, keypoints), dtype=np.float32)
        for transform in dataset.pipeline.transforms[1:]:
            sample = transform(sample)
        samples.append(sample)
    return pseudo_collate(samples)


def build(config: Config) -> dict[str, tuple[BaseModel, OptimWrapper]]:
    """Build copies of a config's model with random weights, one for each wrapper."""
    model = MODELS.build(config.model).train()
    options = {
        key: config.optim_wrapper[key]
        for key in ('optimizer', 'constructor', 'paramwise_cfg', 'clip_grad')
        if key in config.optim_wrapper
    }
    built = {}
    for name, wrapper in WRAPPERS.items():
        copy = deepcopy(model)
        built[name] = copy, build_optim_wrapper(copy, deepcopy(options) | wrapper)
    return built


def measure(config: Config, batch_size: int, repeats: int) -> dict[str, list[float]]:
    """Time training steps in turns.

    Args:
        config: Config of a top-down model.
        batch_size: People in a step.
        repeats: Steps with each wrapper; one more warms up.

    Returns:
        For each wrapper, the seconds of each step.

    Raises:
        ValueError: If the config's model is not top-down.
    """
    kind = config.model.type
    if not kind.endswith('TopdownPoseEstimator'):
        raise ValueError(f'the model must be a TopdownPoseEstimator, but is a {kind}')
    with DefaultScope.overwrite_default_scope('mmpose'):
        batch = make_batch(config.train_dataloader.dataset, batch_size)
        torch.manual_seed(0)
        trained = build(config)
    seconds = {name: [] for name in trained}
    for repeat in track(range(repeats + 1), 'repeats'):
        for name, (model, optim_wrapper) in trained.items():
            start = time.perf_counter()
            model.train_step(batch, optim_wrapper)
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def summarize(seconds: dict[str, list[float]], batch_size: int) -> str:
    """Make the table: medians, and the range in parentheses.

    The ratio compares steps of the same turn.
    """
    lines = ['| training step | images/s | times stock |', '|---|---|---|']
    stock = next(iter(seconds.values()))
    for name, times in seconds.items():
        speeds = [batch_size / t for t in times]
        ratios = [a / b for a, b in zip(stock, times, strict=True)]
        lines.append(
            f'| {name} '
            f'| {median(speeds):.1f} ({min(speeds):.1f} to {max(speeds):.1f}) '
            f'| {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |'
        )
    return '\n'.join(lines)


def describe_machine() -> str:
    """Return the processor, whether it has bfloat16, threads and versions."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    names = (line.split(':', 1)[1] for line in lines if line.startswith('model name'))
    processor = next(names, platform.processor() or platform.machine()).strip()
    return (
        f'{processor}, {"with" if has_bf16_instructions() else "without"} bfloat16 '
        f'instructions, {torch.get_num_threads()} threads; '
        f'Python {platform.python_version()}, torch {torch.__version__}'
    )


def run(args: argparse.Namespace) -> None:
    """Measure and report."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(args.threads)
        for path in args.configs:
            seconds = measure(Config.fromfile(path), args.batch_size, args.repeats)
            print(f'{path.stem}\n\n{summarize(seconds, args.batch_size)}\n')
        print(
            f'batch size {args.batch_size}, {args.repeats} repeats. '
            f'{describe_machine()}'
        )
    finally:
        torch.set_num_threads(threads)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'configs', nargs='+', type=Path, metavar='CONFIG', help='top-down config'
    )
    parser.add_argument(
        '--batch-size', type=int, default=32, help='(default: %(default)s)'
    )
    parser.add_argument(
        '--repeats', type=int, default=7, help='odd is best (default: %(default)s)'
    )
    parser.add_argument(
        '--threads',
        type=int,
        default=torch.get_num_threads(),
        help='threads of torch (default: %(default)s)',
    )
    args = parser.parse_args(argv)
    for name in ('batch_size', 'repeats', 'threads'):
        value = getattr(args, name)
        if value < 1:
            option = name.replace('_', '-')
            parser.error(f'--{option} must be 1 or more, but got {value}')
    return args


def main(argv: list[str] | None = None) -> int:
    """Run the command line tool.

    Args:
        argv: Arguments; those of the process if None.

    Returns:
        Exit code: 0, or 1 after an error that is printed.
    """
    args = parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
