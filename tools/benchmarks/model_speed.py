r"""Compare top-down models: time and memory of a training step, time of inference.

The first config is what the others are compared with. All are timed in this process,
one step each in turns, so that other load on the machine hits all of them alike. The
images and the people are random, the weights as well. Inference includes decoding and,
where the config has it, the flip test.

Memory is what the step keeps for its backward pass (all tensors that autograd saves,
each storage once), which is most of what grows with the batch; on a GPU the peak that
torch allocated as well.

Example:
    python tools/benchmarks/model_speed.py \
        configs/hsjp/benchmarks/td-hm_res18_scratch_1xb32-14e_lspet-fit-128x96.py \
        configs/location_free/locfree_res18_1xb8-14e_lspet-fit-128x96.py
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from mmengine.config import Config
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from rich.progress import track
from torch.autograd.graph import saved_tensors_hooks

sys.path.insert(0, str(Path(__file__).parent))

from training_speed import describe_machine, make_batch  # noqa: E402

MIB = 2**20


class Contestant:
    """A model with the batches and the optimizer of its config.

    Args:
        cfg: Config of a top-down model.
        batch_size: People in a step.
        device: Where the model is.
        amp: Whether to train and predict with autocast.
    """

    def __init__(
        self, cfg: Config, batch_size: int, device: torch.device, amp: bool
    ) -> None:
        self.batches = [
            make_batch(loader.dataset, batch_size)
            for loader in (cfg.train_dataloader, cfg.test_dataloader)
        ]
        torch.manual_seed(0)
        self.model: BaseModel = revert_sync_batchnorm(MODELS.build(cfg.model))
        self.model.to(device)
        self.device = device
        self.amp = amp
        self.optim_wrapper = build_optim_wrapper(
            self.model, dict(type='OptimWrapper', optimizer=cfg.optim_wrapper.optimizer)
        )

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.float16, enabled=self.amp)

    def train(self) -> None:
        """Do a training step."""
        self.model.train()
        with self._autocast():
            self.model.train_step(self.batches[0], self.optim_wrapper)

    def predict(self) -> None:
        """Predict a batch."""
        self.model.eval()
        with self._autocast(), torch.no_grad():
            self.model.test_step(self.batches[1])

    def saved_bytes(self) -> int:
        """Return what a training step keeps for its backward pass."""
        storages = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            self.train()
        return sum(storages.values())

    def peak_bytes(self) -> int:
        """Return the peak of a training step on a GPU."""
        torch.cuda.reset_peak_memory_stats()
        self.train()
        return torch.cuda.max_memory_allocated()


def timed(step: Callable[[], None], device: torch.device) -> float:
    """Return the seconds that a step takes."""
    start = time.perf_counter()
    step()
    if device.type == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(
    configs: dict[str, Config], batch_size: int, repeats: int, amp: bool = False
) -> dict[str, dict]:
    """Measure models in turns.

    Args:
        configs: Configs of top-down models by their names.
        batch_size: People in a step.
        repeats: Steps of each kind with each model; two more warm up.
        amp: Whether to use autocast to float16.

    Returns:
        For each, ``train`` and ``predict`` (seconds of each step), ``parameters``,
        ``saved`` bytes and, on a GPU, the ``peak`` bytes that its step needs beyond
        what there is between steps.

    Raises:
        ValueError: If a model is not top-down.
    """
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    models = {}
    with DefaultScope.overwrite_default_scope('mmpose'):
        for name, cfg in configs.items():
            kind = cfg.model.type
            if not kind.endswith('TopdownPoseEstimator'):
                raise ValueError(
                    f'the model of {name} must be a TopdownPoseEstimator, but is a '
                    f'{kind}'
                )
            models[name] = Contestant(cfg, batch_size, device, amp)
    found = {name: dict(train=[], predict=[]) for name in models}
    for repeat in track(range(repeats + 2), 'repeats'):
        for name, model in models.items():
            for key in ('train', 'predict'):
                seconds = timed(getattr(model, key), device)
                if repeat >= 2:
                    found[name][key].append(seconds)
    for name, model in models.items():
        found[name]['parameters'] = sum(p.numel() for p in model.model.parameters())
        found[name]['saved'] = model.saved_bytes()
        if device.type == 'cuda':
            between = torch.cuda.memory_allocated()
            found[name]['peak'] = model.peak_bytes() - between
    return found


def summarize(found: dict[str, dict]) -> str:
    """Make the table; ratios are to the first model: median, and range of the turns."""
    first = next(iter(found.values()))

    def ratio(own: dict, key: str) -> str:
        ratios = [a / b for a, b in zip(own[key], first[key], strict=True)]
        return f'{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})'

    head = ['model', 'training step', 'inference', 'million parameters']
    head += ['MiB saved for backward'] + ['peak MiB'] * ('peak' in first)
    lines = [f'| {" | ".join(head)} |', '|---|' + '---|' * (len(head) - 1)]
    for name, own in found.items():
        cells = [name, ratio(own, 'train'), ratio(own, 'predict')]
        cells.append(f'{own["parameters"] / 1e6:.2f}')
        cells += [f'{own[key] / MIB:.0f}' for key in ('saved', 'peak') if key in own]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the command line tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', type=Path, metavar='CONFIG')
    parser.add_argument(
        '--batch-size', type=int, default=32, help='(default: %(default)s)'
    )
    parser.add_argument(
        '--repeats', type=int, default=7, help='odd is best (default: %(default)s)'
    )
    parser.add_argument('--amp', action='store_true', help='autocast to float16')
    args = parser.parse_args(argv)
    for name in ('batch_size', 'repeats'):
        if getattr(args, name) < 1:
            option = name.replace('_', '-')
            parser.error(f'--{option} must be 1 or more, but got {getattr(args, name)}')
    try:
        configs = {path.stem: Config.fromfile(path) for path in args.configs}
        found = measure(configs, args.batch_size, args.repeats, args.amp)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(summarize(found))
    print(
        f'\nbatch size {args.batch_size}, {args.repeats} repeats, '
        f'{"float16" if args.amp else "float32"}. {describe_machine()}'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
