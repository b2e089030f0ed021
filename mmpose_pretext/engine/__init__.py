"""Hooks and optimizer wrappers."""

from .cpu_amp_optim_wrapper import CPUAmpOptimWrapper
from .epoch_seed_hook import EpochSeedHook
from .run_result_hook import RunResultHook

__all__ = ['CPUAmpOptimWrapper', 'EpochSeedHook', 'RunResultHook']
