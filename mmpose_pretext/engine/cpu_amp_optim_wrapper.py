"""Mixed precision on a CPU, which MMEngine's AmpOptimWrapper refuses."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.utils import apply_to, digit_version
from mmpose.models.heads import BaseHead
from torch import nn

from mmpose_pretext.registry import OPTIM_WRAPPERS

CPUINFO = Path('/proc/cpuinfo')


def has_bf16_instructions() -> bool:
    """Tell whether Linux lists bfloat16 instructions (AMX, AVX-512, ARM) of the CPU."""
    flags = set(CPUINFO.read_text().split()) if CPUINFO.exists() else set()
    return not flags.isdisjoint({'amx_bf16', 'avx512_bf16', 'bf16'})


def _channels_last(preprocessor: nn.Module, args: tuple, data: dict) -> dict:
    """Lay out a batch of images; a forward hook of the data preprocessor."""
    return apply_to(
        data,
        lambda x: isinstance(x, torch.Tensor) and x.ndim == 4,
        lambda x: x.contiguous(memory_format=torch.channels_last),
    )


@contextmanager
def _float32_output(head: nn.Module) -> Iterator[None]:
    """Let ``head.forward``, which heads call themselves, return no bfloat16."""
    forward = head.forward

    def float32_forward(*args, **kwargs):
        return apply_to(
            forward(*args, **kwargs),
            lambda x: isinstance(x, torch.Tensor) and x.dtype == torch.bfloat16,
            torch.Tensor.float,
        )

    head.forward = float32_forward
    try:
        yield
    finally:
        del head.forward


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Train on a CPU with bfloat16 autocast and channels-last convolutions.

    Parameters, gradients, BatchNorm statistics and the optimizer's state stay in
    float32; autocast runs convolutions and matrix products in bfloat16. What the
    heads predict is cast to float32, so that losses are float32 and MMPose's
    accuracies, which go through NumPy, work: NumPy has no bfloat16. There is no
    loss scaling, which float16 needs because small gradients underflow in its 5
    bits of exponent; bfloat16 has the 8 bits of float32.

    Validation is outside of autocast and stays in float32. Leave ``fp16=True`` out
    of ``val_cfg`` and ``test_cfg``.

    Channels-last is the layout of the images, which every convolution hands on to
    the next. Parameters keep theirs: DistributedDataParallel mixes gradients up,
    without a word, if it changes after the model was wrapped. A layer that calls
    ``view`` across channels and pixels fails on such activations; set
    ``channels_last=False`` for such a model. Checkpoints are the stock wrapper's.

    Where torch has a kernel of its own for a whole step of the optimizer (Adam, AdamW,
    SGD, Adagrad), it is used: the same formula, in other roundings. torch itself leaves
    it off on CPUs unless it is asked for.

    Use: ``optim_wrapper = dict(type='mmpose_pretext.CPUAmpOptimWrapper')`` in a
    config that inherits the optimizer, or on the command line ``--cfg-options
    optim_wrapper.type=mmpose_pretext.CPUAmpOptimWrapper``, which tools/train.py
    wants to begin with ``+`` if the config names no type.

    Args:
        dtype: ``'bfloat16'``, or ``'float32'`` for channels-last alone. bfloat16 is
            faster on CPUs with instructions for it and slower on others, where
            this warns.
        channels_last: Whether to give the model its images in
            ``torch.channels_last``.
        fused: Whether to step by torch's fused kernel, from torch 2.4 on, if the
            config of the optimizer says neither ``fused`` nor ``foreach``.
        **kwargs: See :class:`mmengine.optim.OptimWrapper`: ``optimizer``,
            ``accumulative_counts``, ``clip_grad``.

    Raises:
        ValueError: If ``dtype`` is neither of the two.
    """

    def __init__(
        self,
        dtype: str = 'bfloat16',
        channels_last: bool = True,
        fused: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if dtype not in ('bfloat16', 'float32'):
            raise ValueError(
                f"dtype must be 'bfloat16' or 'float32', but got {dtype!r}; float16 "
                'would need loss scaling, which this wrapper lacks'
            )
        self.dtype = dtype
        self.channels_last = channels_last
        self.fused = fused and digit_version(torch.__version__) >= digit_version('2.4')
        if dtype == 'bfloat16' and not has_bf16_instructions():
            print_log(
                f'CPUAmpOptimWrapper: {CPUINFO} lists no bfloat16 instructions of this '
                "CPU, so that bfloat16 is slower than float32 (17 times, where it was "
                "measured); set dtype='float32' in optim_wrapper to have channels-last "
                'alone.',
                logger='current',
                level=logging.WARNING,
            )

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enter autocast, and what accumulating gradients needs.

        Args:
            model: The model, or its wrapper for distributed training.

        Raises:
            ValueError: If the model is not on the CPU.
        """
        device = next(model.parameters()).device
        if device.type != 'cpu':
            raise ValueError(
                f'CPUAmpOptimWrapper trains on the CPU, but the model is on {device}; '
                "set optim_wrapper.type='AmpOptimWrapper', or hide the GPUs "
                '(CUDA_VISIBLE_DEVICES= in the environment)'
            )
        with ExitStack() as stack:
            stack.enter_context(super().optim_context(model))
            if self.channels_last:
                inner = model.module if is_model_wrapper(model) else model
                hook = inner.data_preprocessor.register_forward_hook(_channels_last)
                stack.callback(hook.remove)
            if self.dtype == 'bfloat16':
                stack.enter_context(torch.autocast('cpu', torch.bfloat16))
                for module in model.modules():
                    if isinstance(module, BaseHead):
                        stack.enter_context(_float32_output(module))
            yield

    def step(self, **kwargs) -> None:
        """Step by the fused kernel where there is one.

        Args:
            **kwargs: See :meth:`torch.optim.Optimizer.step`.
        """
        if self.fused:
            # each time, since a resumed optimizer has the groups of its checkpoint
            for group in self.optimizer.param_groups:
                unsaid = group.get('fused', False) is None is group.get('foreach')
                if unsaid and not group.get('differentiable'):
                    group['fused'] = True
        super().step(**kwargs)
