"""Measure what the ranking loss costs, and print the ratios.

Times, on random people with all pairs labelled:

1. mmpose_pretext.RelativeDepthLoss, forward and backward, against a loop over the
   pairs that computes the same;
2. all that depth adds after the network's last layer (labels to tensors, reading the
   map at the keypoints, persons' depths, loss, accuracy, and backward to the map)
   against a training step of a stock bottom-up model with the head.

All are timed in this process in turns, the fast ones many times a turn, so that other
load on the machine hits all of them alike.

Example:
    python tools/benchmarks/ranking_loss_speed.py --people 20
"""

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from rich.progress import track
from torch import Tensor

from mmpose_pretext.models.losses import RelativeDepthLoss

NUM_KEYPOINTS = 19  # of MCPC
CALLS = dict(loss=200, loop=1, branch=20, step=1)  # in a turn


def loop_over_pairs(
    depths: Tensor,
    visible: Tensor,
    pairs: Tensor,
    relations: Tensor,
    confidences: Tensor,
) -> Tensor:
    """Compute :class:`RelativeDepthLoss` for K = 1, all visible, pair by pair."""
    images = []
    for b in range(len(depths)):
        losses = [
            F.softplus(-r * (depths[b, i, 0] - depths[b, j, 0])) * c
            for (i, j), r, c in zip(
                pairs[b].tolist(), relations[b], confidences[b], strict=True
            )
        ]
        images.append(sum(losses) / len(losses))
    return sum(images) / len(images)


def make_batch(images: int, people: int, size: int) -> dict:
    """Make images of random people with all pairs labelled.

    Args:
        images: Number of images.
        people: Number N of people in each.
        size: Width and height of an image in pixels.

    Returns:
        What ``train_step`` takes.
    """
    rng = np.random.default_rng(0)
    pipeline = Compose(
        [
            dict(type='GenerateTarget', encoder=codec(size)),
            dict(type='PackPoseInputs'),
        ]
    )
    pairs = np.stack(np.triu_indices(people, 1), axis=1)
    samples = []
    for _ in range(images):
        keypoints = rng.uniform(0, size - 1, (people, NUM_KEYPOINTS, 2))
        samples.append(
            pipeline(
                dict(
                    img=rng.integers(0, 256, (size, size, 3), dtype=np.uint8),
                    keypoints=keypoints.astype(np.float32),
                    keypoints_visible=np.ones(keypoints.shape[:2], dtype=np.float32),
                    depth_pairs=pairs,
                    depth_relations=rng.choice([-1, 1], len(pairs)),
                    depth_confidences=rng.uniform(0.5, 1, len(pairs)),
                )
            )
        )
    return pseudo_collate(samples)


def codec(size: int) -> dict:
    """Return the config of the codec for square inputs."""
    return dict(
        type='mmpose_pretext.RelativeDepthLabel',
        input_size=(size, size),
        heatmap_size=(size // 4, size // 4),
        sigma=2.0,
    )


def make_tasks(
    images: int, people: int, size: int, depth: int
) -> dict[str, Callable[[], object]]:
    """Make what is timed.

    Args:
        images: Images in a batch.
        people: People in an image.
        size: Width and height of an image in pixels.
        depth: Depth of the ResNet.

    Returns:
        Functions by name: ``loss``, ``loop``, ``branch`` and ``step``.
    """
    head = dict(
        type='mmpose_pretext.RelativeDepthHead',
        in_channels=512 if depth < 50 else 2048,
        out_channels=NUM_KEYPOINTS,
        decoder=codec(size),
    )
    model = MODELS.build(
        dict(
            type='BottomupPoseEstimator',
            data_preprocessor=dict(
                type='PoseDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3
            ),
            backbone=dict(type='ResNet', depth=depth),
            head=head,
        )
    ).train()
    optim_wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='Adam')))
    batch = make_batch(images, people, size)
    samples = batch['data_samples']
    labels = [sample.gt_instance_labels for sample in samples]
    depth_maps = torch.randn(images, 1, size // 4, size // 4, requires_grad=True)
    data = dict(
        depths=torch.randn(images, people, 1, requires_grad=True),
        visible=torch.ones(images, people, 1, dtype=torch.bool),
        pairs=torch.cat([label.depth_pairs for label in labels]),
        relations=torch.cat([label.depth_relations for label in labels]),
        confidences=torch.cat([label.depth_confidences for label in labels]),
    )
    loss = RelativeDepthLoss()
    torch.testing.assert_close(loss(**data), loop_over_pairs(**data))
    return dict(
        loss=lambda: loss(**data).backward(),
        loop=lambda: loop_over_pairs(**data).backward(),
        branch=lambda: model.head.depth_losses(depth_maps, samples)[
            'loss_depth'
        ].backward(),
        step=lambda: model.train_step(batch, optim_wrapper),
    )


def measure(
    tasks: dict[str, Callable[[], object]], repeats: int
) -> dict[str, list[float]]:
    """Time the tasks in turns, after one turn that warms up.

    Args:
        tasks: As :func:`make_tasks` makes them.
        repeats: Number of turns.

    Returns:
        For each task, the mean seconds of a call in each turn.
    """
    seconds = {name: [] for name in tasks}
    for repeat in track(range(repeats + 1), 'repeats'):
        for name, task in tasks.items():
            start = time.perf_counter()
            for _ in range(CALLS[name]):
                task()
            if repeat:
                seconds[name].append((time.perf_counter() - start) / CALLS[name])
    return seconds


def summarize(seconds: dict[str, list[float]]) -> str:
    """Make the table: medians, and ranges of ratios within one turn."""

    def ratios(task: str, other: str, form: str) -> str:
        values = [a / b for a, b in zip(seconds[task], seconds[other], strict=True)]
        middle, low, high = (
            format(v, form) for v in (median(values), min(values), max(values))
        )
        return f'{middle} ({low} to {high})'

    milliseconds = {name: 1000 * median(times) for name, times in seconds.items()}
    return '\n'.join(
        [
            '| | ms | against the other |',
            '|---|---|---|',
            f'| loop over pairs | {milliseconds["loop"]:.2f} | '
            f'{ratios("loop", "loss", ".0f")} times the loss |',
            f'| loss | {milliseconds["loss"]:.2f} | '
            f'{ratios("loss", "step", ".2%")} of the step |',
            f'| all after the depth map | {milliseconds["branch"]:.2f} | '
            f'{ratios("branch", "step", ".2%")} of the step |',
            f'| training step | {milliseconds["step"]:.2f} | |',
        ]
    )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for option, default, text in (
        ('people', 20, 'people in an image, 2 or more'),
        ('images', 16, 'images in a batch'),
        ('size', 256, 'width and height of an image, a multiple of 32'),
        ('repeats', 7, 'odd is best'),
        ('threads', torch.get_num_threads(), 'threads of torch'),
    ):
        parser.add_argument(
            f'--{option}', type=int, default=default, help=f'{text} (%(default)s)'
        )
    parser.add_argument(
        '--depth',
        type=int,
        choices=(18, 34, 50, 101, 152),
        default=18,
        help='of the ResNet; the shallowest is the hardest test (%(default)s)',
    )
    args = parser.parse_args(argv)
    for name, least in dict(people=2, images=1, size=32, repeats=1, threads=1).items():
        if getattr(args, name) < least:
            parser.error(f'--{name} must be {least} or more')
    if args.size % 32:
        parser.error(f'--size must be a multiple of 32, but got {args.size}')
    return args


def main(argv: list[str] | None = None) -> int:
    """Run the command line tool.

    Args:
        argv: Arguments; those of the process if None.

    Returns:
        Exit code 0.
    """
    args = parse_args(argv)
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    try:
        torch.set_num_threads(args.threads)
        with DefaultScope.overwrite_default_scope('mmpose'):
            tasks = make_tasks(args.images, args.people, args.size, args.depth)
        print(summarize(measure(tasks, args.repeats)))
    finally:
        torch.set_num_threads(threads)
    print(
        f'\n{args.images} images of {args.size} x {args.size} pixels with '
        f'{args.people} people, {args.people * (args.people - 1) // 2} pairs each; '
        f'ResNet-{args.depth}; median of {args.repeats} turns (range); '
        f'{args.threads} threads'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
