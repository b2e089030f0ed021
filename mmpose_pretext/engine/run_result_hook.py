"""One small file that says what came out of a run."""

import json
import os
import platform
import subprocess
import time
from pathlib import Path

import mmcv
import mmengine
import mmpose
import numpy as np
import torch
from mmengine.dist import get_world_size, master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

import mmpose_pretext
from mmpose_pretext.registry import HOOKS


def write_json(path: Path, content: dict | list) -> None:
    """Write a json file whole or not at all, whatever other processes write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
    partial.write_text(json.dumps(content, indent=1) + '\n')
    os.replace(partial, path)


def git_state(folder: str | Path) -> str | None:
    """Return the commit that a folder is at, with ``-dirty`` if files differ.

    Args:
        folder: A folder.

    Returns:
        The short hash; None outside of a checkout or without git.
    """
    command = ['git', 'describe', '--always', '--dirty', '--exclude=*']
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on."""
    return dict(
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=np.__version__,
        mmengine=mmengine.__version__,
        mmcv=mmcv.__version__,
        mmpose=mmpose.__version__,
        mmpose_pretext=mmpose_pretext.__version__,
    )


@HOOKS.register_module()
class RunResultHook(Hook):
    """Write the result of a training run, with what it takes to trust it.

    When training ends, ``out_file`` gets a json with

    - ``info``: what the config says about the run,
    - ``metrics``: those of the last validation, at the last iteration (never
      the best of several),
    - ``curve``: of every validation the ``iter``, the mean training ``loss``
      since the one before, and the metrics,
    - ``seed``, ``iterations``, ``images`` (drawn for training, on all devices),
      ``train_seconds`` (of the training iterations, with their data loading),
      ``wall_seconds`` (of this process, with validation),
    - ``versions`` and ``git``, the state of mmpose_pretext's checkout.

    Until then the curve is kept beside it, in ``out_file`` + ``.curve``, so that a
    resumed run has the whole of it. A run that was stopped between its last
    iteration and the end of its last validation is validated when it is resumed.

    Args:
        out_file: The json to write.
        info: Values of json's types to copy into it.
    """

    # After RuntimeInfoHook and LoggerHook, which fill the message hub.
    priority = 'LOWEST'

    def __init__(self, out_file: str, info: dict | None = None) -> None:
        self.out_file = Path(out_file)
        self.curve_file = self.out_file.with_name(self.out_file.name + '.curve')
        self.info = dict(info or {})
        self.curve: list[dict] = []

    def before_train(self, runner: Runner) -> None:
        """Take up the curve of the run that is resumed."""
        self._start = time.monotonic()
        if runner.iter and self.curve_file.is_file():
            curve = json.loads(self.curve_file.read_text())
            self.curve = [point for point in curve if point['iter'] <= runner.iter]

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Add a point to the curve."""
        if not metrics:
            return
        done = self._iterations(runner)
        since = done - (self.curve[-1]['iter'] if self.curve else 0)
        point = dict(iter=done)
        if since > 0:
            losses = runner.message_hub.get_scalar('train/loss').data[0][-since:]
            point['loss'] = round(float(np.mean(losses)), 6)
        point.update({k: float(v) for k, v in metrics.items() if np.isscalar(v)})
        self.curve.append(point)
        self._write(self.curve_file, self.curve)

    def after_train(self, runner: Runner) -> None:
        """Write the result."""
        done = self._iterations(runner)
        if runner.val_loop is not None and (
            not self.curve or self.curve[-1]['iter'] != done
        ):
            runner.val_loop.run()
        last = dict(self.curve[-1]) if self.curve else {}
        batch_size = runner.train_dataloader.batch_size
        if batch_size is None:
            batch_size = runner.train_dataloader.batch_sampler.batch_size
        seconds = runner.message_hub.get_scalar('train/time').data[0]
        device = 'cpu'
        if torch.cuda.is_available():
            device = torch.cuda.get_device_name()
        result = dict(
            info=self.info,
            metrics={k: v for k, v in last.items() if k not in ('iter', 'loss')},
            curve=self.curve,
            seed=runner.seed,
            iterations=done,
            images=done * batch_size * get_world_size(),
            train_seconds=round(float(np.sum(seconds)), 3),
            wall_seconds=round(time.monotonic() - self._start, 3),
            device=device,
            threads=torch.get_num_threads(),
            versions=versions(),
            git=git_state(Path(mmpose_pretext.__file__).parent),
        )
        self._write(self.out_file, result)
        self._remove_curve()

    @staticmethod
    def _iterations(runner: Runner) -> int:
        return runner.iter

    @master_only
    def _remove_curve(self) -> None:
        self.curve_file.unlink(missing_ok=True)

    @master_only
    def _write(self, path: Path, content: dict | list) -> None:
        write_json(path, content)
