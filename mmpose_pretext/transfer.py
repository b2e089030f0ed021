"""Strict transfer of pretrained weights.

The stock initializer ``Pretrained`` loads what happens to fit and says little
about the rest; a wrong depth or prefix trains from random weights. Here every
tensor is accounted for, and too few of them are an error.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mmengine.logging import print_log
from mmengine.model import initialize, update_init_info
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from .registry import WEIGHT_INITIALIZERS

_SHOWN = 5

BACKBONE = 'backbone.'
DECONV = 'head.deconv_layers.'


def strip_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Keep the tensors whose names start with a prefix, and drop it.

    Args:
        tensors: Named tensors.
        prefix: The exact prefix, with its dot; ``''`` keeps all.

    Returns:
        The tensors under the prefix, in their order.

    Raises:
        ValueError: If the prefix ends in the middle of a name, or if no name starts
            with it; the message lists those that exist.
    """
    if prefix and not prefix.endswith('.'):
        raise ValueError(f"prefix {prefix!r} must end with a dot, as in 'backbone.'.")
    kept = {
        name[len(prefix) :]: tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    if not kept:
        found = sorted({name.partition('.')[0] + '.' for name in tensors})
        raise ValueError(
            f'prefix {prefix!r} matches none of the {len(tensors)} tensors. Their '
            f'names start with {_some(found)}. Give one of these as prefix, or '
            "prefix='' if the names have none."
        )
    return kept


def model_tensors(checkpoint: object, ema: bool = False) -> dict[str, Tensor]:
    """Take a model's tensors out of a checkpoint.

    In a checkpoint that MMEngine's ``EMAHook`` has taken part in, ``state_dict``
    holds the *averaged* weights and ``ema_state_dict``, under ``module.``, the
    weights as trained: ``EMAHook.before_save_checkpoint`` swaps the two.

    Args:
        checkpoint: A loaded checkpoint: a dict with ``state_dict``, or the state
            dict itself. A ``module.`` before every name (distributed training)
            is dropped.
        ema: Take the averaged weights instead of those as trained.

    Returns:
        Named tensors.

    Raises:
        ValueError: If there are no tensors, or if averaged weights are wanted and
            the checkpoint has none.
    """
    state = checkpoint
    if isinstance(checkpoint, Mapping):
        has_ema = 'ema_state_dict' in checkpoint
        if ema and not has_ema:
            raise ValueError(
                "averaged (EMA) weights are wanted, but there is no 'ema_state_dict' "
                'in the checkpoint. Train with EMAHook, or ask for the weights as '
                'trained.'
            )
        if has_ema and not ema:
            state = checkpoint['ema_state_dict']
        else:
            state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, Mapping):
        raise ValueError(f'expected a dict of tensors, got {type(state).__name__}.')
    tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
    # AveragedModel counts its steps beside the module.
    names = tensors.keys() - {'steps'}
    if not names:
        raise ValueError(
            'there are no model weights in the checkpoint: no state_dict with '
            f'tensors, only {_some(map(str, state))}.'
        )
    if all(name.startswith('module.') for name in names):
        tensors = strip_prefix(tensors, 'module.')
    return tensors


@dataclass(frozen=True)
class Match:
    """How the tensors of a file fit those of a module.

    BatchNorm's ``num_batches_tracked`` is loaded where it is in the file, but not
    counted or reported: it holds no weights and older files lack it.

    Attributes:
        loaded: Names of same-shaped tensors in both.
        missing: Names in the module only.
        unexpected: Names in the file only.
        misshaped: Names in both, with their shapes in the file and in the module.
        surplus: How many of the unexpected ones belong to the module by their name
            and find no place in it, as in the file of a deeper network.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    surplus: int = 0

    @property
    def coverage(self) -> float:
        """Fraction of the tensors loaded, of the module's and the surplus ones."""
        total = len(self.loaded) + len(self.missing) + len(self.misshaped)
        return len(self.loaded) / max(total + self.surplus, 1)

    def report(self) -> str:
        """Describe the match: a count and the first few names of each kind."""
        lines = [f'coverage {self.coverage:.1%}, loaded {len(self.loaded)}']
        shapes = [
            f'{name}: {theirs} in the file, {own} wanted'
            for name, (theirs, own) in self.misshaped.items()
        ]
        for kind, names in (
            ('missing in the file', self.missing),
            ('unexpected in the file', self.unexpected),
            ('of another shape', shapes),
        ):
            lines.append(f'{kind}: {len(names)}')
            if names:
                lines[-1] += f' ({_some(names)})'
        return '\n  '.join(lines)


def match(source: Mapping[str, Tensor], module: nn.Module, claimed: bool) -> Match:
    """Compare the tensors of a file with those of a module.

    Args:
        source: Tensors of the file, named as in the module.
        module: The module to load.
        claimed: Whether all of ``source`` is meant for the module, as it is after
            a prefix was dropped. Otherwise, what is under none of the module's
            children, as a classifier's ``fc``, may be left over.

    Returns:
        The match.
    """
    own = {k: tuple(v.shape) for k, v in module.state_dict().items()}
    theirs = {k: tuple(v.shape) for k, v in source.items()}
    for shapes in (own, theirs):
        for counter in [k for k in shapes if _is_counter(k)]:
            del shapes[counter]
    unexpected = tuple(k for k in theirs if k not in own)
    children = {name for name, _ in module.named_children()}
    return Match(
        loaded=tuple(k for k in own if theirs.get(k) == own[k]),
        missing=tuple(k for k in own if k not in theirs),
        unexpected=unexpected,
        misshaped={
            k: (theirs[k], own[k]) for k in own if theirs.get(k, own[k]) != own[k]
        },
        surplus=sum(claimed or k.partition('.')[0] in children for k in unexpected),
    )


def suggest_prefix(tensors: Mapping[str, Tensor], module: nn.Module) -> str:
    """Look for the prefix under which most of a module is in a file.

    Args:
        tensors: All tensors of the file.
        module: The module to load.

    Returns:
        A sentence for an error message; empty if nothing fits.
    """
    own = [k for k in module.state_dict() if not _is_counter(k)]
    prefixes = {n[: -len(k)] for k in own[:1] for n in tensors if n.endswith(k)}
    best, count = '', 0
    for prefix in sorted(prefixes):
        fits = sum(prefix + k in tensors for k in own)
        if fits > count:
            best, count = prefix, fits
    if not best:
        return ''
    return f' Most names fit with prefix={best!r}: {count} of {len(own)}.'


def check_coverage(found: Match, min_coverage: float) -> None:
    """Refuse a match that covers too little.

    Args:
        found: The match.
        min_coverage: The smallest fraction that will do, in [0, 1].

    Raises:
        ValueError: If too little was loaded, or nothing at all.
    """
    if found.loaded and found.coverage >= min_coverage:
        return
    raise ValueError(
        f'too few tensors fit: {found.coverage:.1%}, and {min_coverage:.1%} are '
        f'required.\n  {found.report()}\n'
        'Missing or unexpected names mean another type or depth of network, or a '
        'wrong prefix; other shapes mean another width. If a part is enough, lower '
        'the required coverage (min_coverage).'
    )


@WEIGHT_INITIALIZERS.register_module()
class PretrainedBackbone:
    """Load a pretrained backbone completely, or fail.

    It takes the place of the stock ``Pretrained`` in a backbone's ``init_cfg``::

        backbone = dict(
            init_cfg=dict(
                type='mmpose_pretext.PretrainedBackbone', checkpoint='hsjp.pth'
            )
        )

    Like ``Pretrained`` it has the last word: children are initialized before it,
    and what the stock ResNet and HRNet do to a network that is not ``Pretrained``
    (``zero_init_residual``) is not done. In a list of initializers it must be the
    last.

    Args:
        checkpoint: File or URL: a training checkpoint, the output of
            ``tools/model_converters/extract_backbone.py``, or a plain state dict.
        min_coverage: The smallest fraction of tensors that must be loaded, of
            the module's and of those in the file that claim to be the module's
            (so a deeper network does not pass).
        prefix: What the names in the file start with, exactly. By default
            ``'backbone.'`` if the file has such names, else nothing.
        ema: Take the averaged weights of a checkpoint written with ``EMAHook``
            instead of the weights as trained.
        map_location: As in ``torch.load``.
    """

    def __init__(
        self,
        checkpoint: str,
        min_coverage: float = 1.0,
        prefix: str | None = None,
        ema: bool = False,
        map_location: str = 'cpu',
    ) -> None:
        if not 0 <= min_coverage <= 1:
            raise ValueError(
                f'min_coverage must be a fraction in [0, 1], got {min_coverage}.'
            )
        self.checkpoint = checkpoint
        self.min_coverage = min_coverage
        self.prefix = prefix
        self.ema = ema
        self.map_location = map_location

    def __call__(self, module: nn.Module) -> None:
        """Load the weights into a module.

        Args:
            module: A backbone.

        Raises:
            FileNotFoundError: If there is no such checkpoint.
            pickle.UnpicklingError: If the file is not safe to read.
            ValueError: If too little of the module can be loaded, or if an
                initializer after this one would overwrite it.
        """
        within_init_weights = hasattr(module, '_params_init_info')
        if within_init_weights:
            self._initialize_rest(module)
        self._load(self._target(module))
        if within_init_weights:
            # What the stock backbones look for before they touch the weights again.
            module.init_cfg = dict(type='Pretrained', checkpoint=self.checkpoint)

    def _initialize_rest(self, module: nn.Module) -> None:
        """Run now what MMEngine would run after this initializer."""
        cfg = getattr(module, 'init_cfg', None)
        if isinstance(cfg, list) and type(self).__name__ not in str(cfg[-1]['type']):
            raise ValueError(
                f'{type(self).__name__} must be the last in the init_cfg of '
                f'{type(module).__name__}, or {cfg[-1]["type"]} would overwrite it.'
            )
        if isinstance(cfg, dict) and hasattr(module, 'default_init_cfg'):
            # A head's own default, which any other init_cfg replaces.
            initialize(module, module.default_init_cfg)
        for child in module.children():
            if hasattr(child, 'init_weights'):
                child.init_weights()
                child.is_init = True

    def _target(self, module: nn.Module) -> nn.Module:
        return module

    def _choose_prefix(self, tensors: Mapping[str, Tensor], target: nn.Module) -> str:
        if self.prefix is not None:
            return self.prefix
        if not any(name.startswith(BACKBONE) for name in tensors):
            return ''
        if tensors.keys() & target.state_dict().keys():
            raise ValueError(
                f'the file has names with and without {BACKBONE!r} that fit. Say '
                f"which are meant: prefix={BACKBONE!r} or prefix=''."
            )
        return BACKBONE

    def _load(self, target: nn.Module) -> None:
        subject = f'{type(self).__name__}, {self.checkpoint}'
        checkpoint = CheckpointLoader.load_checkpoint(
            self.checkpoint, self.map_location, logger='silent'
        )
        tensors: dict[str, Tensor] = {}
        try:
            tensors = model_tensors(checkpoint, self.ema)
            prefix = self._choose_prefix(tensors, target)
            source = strip_prefix(tensors, prefix)
            found = match(source, target, claimed=prefix != '')
            check_coverage(found, self.min_coverage)
        except ValueError as error:
            hint = suggest_prefix(tensors, target)
            raise ValueError(f'{subject}: {error}{hint}') from None
        target.load_state_dict(
            {k: v for k, v in source.items() if k not in found.misshaped}, strict=False
        )
        weights = 'averaged (EMA)' if self.ema else 'trained'
        print_log(
            f'{subject}, prefix {prefix!r}, {weights} weights: {found.report()}',
            logger='current',
            level=logging.WARNING if found.unexpected else logging.INFO,
        )
        if hasattr(target, '_params_init_info'):
            update_init_info(target, f'loaded by {subject}')


@WEIGHT_INITIALIZERS.register_module()
class PretrainedDeconv(PretrainedBackbone):
    """Load pretrained deconvolution layers into a head, and nothing else of it.

    For heads with ``deconv_layers``, as ``HeatmapHead`` of SimpleBaseline; the
    final 1x1 convolution belongs to the task and keeps the head's default
    initialization::

        head = dict(
            init_cfg=dict(type='mmpose_pretext.PretrainedDeconv', checkpoint='hsjp.pth')
        )

    The arguments are those of :class:`PretrainedBackbone`; ``prefix`` is
    ``'head.deconv_layers.'`` by default, as in a training checkpoint and in what
    ``extract_backbone.py --with-deconv`` writes.
    """

    def _target(self, module: nn.Module) -> nn.Module:
        layers = getattr(module, 'deconv_layers', None)
        if layers is None or not layers.state_dict():
            raise ValueError(
                f'PretrainedDeconv, {self.checkpoint}: the {type(module).__name__} '
                'has no deconvolution layers to load (deconv_layers).'
            )
        return layers

    def _choose_prefix(self, tensors: Mapping[str, Tensor], target: nn.Module) -> str:
        if self.prefix is not None:
            return self.prefix
        if not any(name.startswith(DECONV) for name in tensors):
            raise ValueError(
                f'the file has no deconvolution layers ({DECONV!r}). '
                'extract_backbone.py --with-deconv takes them along; without them, '
                "leave this initializer out of the head's init_cfg."
            )
        return DECONV


def _is_counter(name: str) -> bool:
    return name.endswith('num_batches_tracked')


def _some(names: Iterable[str]) -> str:
    names = list(names)
    more = f', and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    return ', '.join(names[:_SHOWN]) + more
