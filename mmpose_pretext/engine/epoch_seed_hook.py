"""Random numbers that depend on the epoch, so that a resumed run repeats."""

import random
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmpose_pretext.registry import HOOKS


def seed_everything(*entropy: int) -> None:
    """Seed ``random``, NumPy and torch from several integers.

    Different tuples give independent streams (``numpy.random.SeedSequence``),
    unlike a sum, in which worker 1 of epoch 0 would equal worker 0 of epoch 1.

    Args:
        entropy: Non-negative integers, as in seed, epoch and rank.
    """
    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002, transforms draw from the global state
    torch.manual_seed(seed)


def _init_worker(
    worker_id: int, entropy: tuple[int, ...], inner: Callable[[int], None] | None
) -> None:
    if inner is not None:
        inner(worker_id)
    seed_everything(*entropy, 1 + worker_id)


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed each training epoch from (seed, epoch, rank) and worker.

    MMEngine seeds once, when a run starts. It starts the loader's workers with
    the same seed in every epoch, so every epoch repeats the same random
    augmentation, and a resumed run starts again from the first seed. With this
    hook the augmentation differs between epochs, ranks and workers, and a run
    resumed from the checkpoint of an epoch's end repeats the run that was not
    interrupted: on a CPU to the bit, on a GPU as far as its operators are
    deterministic. The order of samples is the sampler's (``DistSamplerSeedHook``).

    It needs ``randomness=dict(seed=...)`` in the config, since the sampler is
    built before the seed of a resumed run is known, and
    ``persistent_workers=False`` in ``train_dataloader``, since living workers
    cannot be seeded again. Where either is missing, it warns once.

    Use: ``custom_hooks = [dict(type='mmpose_pretext.EpochSeedHook')]``.
    """

    # After hooks that may draw random numbers themselves.
    priority = 'VERY_LOW'

    def before_run(self, runner: Runner) -> None:
        """Note whether the config fixes the seed; resuming fills it in."""
        self._seeded = runner._randomness_cfg.get('seed') is not None

    def before_train(self, runner: Runner) -> None:
        """Check what an exact repetition needs.

        Args:
            runner: The runner.

        Raises:
            TypeError: If training is not by epochs.
        """
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise TypeError(
                'EpochSeedHook needs training by epochs, train_cfg=dict(by_epoch='
                f'True, ...), but the loop is a {type(runner.train_loop).__name__}. '
                'Remove the hook or train by epochs.'
            )
        loader = runner.train_dataloader
        self._worker_init_fn = loader.worker_init_fn
        wanted = []
        if loader.persistent_workers:
            wanted.append('train_dataloader.persistent_workers=False')
        if not self._seeded:
            wanted.append('randomness=dict(seed=...)')
        if wanted:
            runner.logger.warning(
                'EpochSeedHook: if this run is interrupted, the resumed run will not '
                f'repeat it exactly. Set {" and ".join(wanted)} in the config to '
                'have that.'
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this process, and the workers that the loader is about to start."""
        entropy = (runner.seed, runner.epoch, get_rank())
        runner.train_dataloader.worker_init_fn = partial(
            _init_worker, entropy=entropy, inner=self._worker_init_fn
        )
        seed_everything(*entropy)
