#!/usr/bin/env python
"""Take the pretrained backbone out of a training checkpoint.

The output holds tensors and plain metadata only, under two keys:

state_dict  The backbone's tensors, named as in the backbone itself, so that both
            dict(type='mmpose_pretext.PretrainedBackbone', checkpoint=OUT) and the
            stock dict(type='Pretrained', checkpoint=OUT) load it as init_cfg.
            With --with-deconv the names keep their prefixes backbone. and
            head.deconv_layers.; the stock initializer then needs
            prefix='backbone.', and mmpose_pretext.PretrainedDeconv loads the
            deconvolutions into the new head.
meta        method, config, epoch, iter, weights (trained or averaged), source and
            its sha256, version of mmpose_pretext.

The same input and options give the same output to the byte.
"""

import argparse
import hashlib
import io
import os
import pickle
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from mmpose_pretext import __version__
from mmpose_pretext.transfer import (
    BACKBONE,
    DECONV,
    check_coverage,
    match,
    model_tensors,
    strip_prefix,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', metavar='IN', help='training checkpoint (.pth)')
    parser.add_argument('out', metavar='OUT', help='file to write (.pth)')
    parser.add_argument(
        '--prefix',
        default=BACKBONE,
        help="what the backbone's names in IN start with, exactly; '' if they have "
        'no prefix (default: %(default)s)',
    )
    parser.add_argument(
        '--with-deconv',
        action='store_true',
        help=f'also take the deconvolution layers of the head ({DECONV}*)',
    )
    parser.add_argument(
        '--ema',
        action='store_true',
        help='take the averaged weights of a run with EMAHook, not those as trained',
    )
    parser.add_argument(
        '--config',
        help='config of a model; what is taken must cover its backbone. This config '
        'is run as Python; the one stored in IN never is',
    )
    parser.add_argument(
        '--min-coverage',
        type=float,
        metavar='FRACTION',
        help='with --config: the smallest fraction of tensors that must fit, in '
        '[0, 1] (default: 1)',
    )
    parser.add_argument('--force', action='store_true', help='overwrite OUT')
    args = parser.parse_args(argv)
    if args.min_coverage is not None:
        if args.config is None:
            parser.error('--min-coverage needs --config: coverage of which model?')
        if not 0 <= args.min_coverage <= 1:
            parser.error(f'--min-coverage must be in [0, 1], got {args.min_coverage}')
    return args


def build_targets(config: str, with_deconv: bool) -> dict[str, nn.Module]:
    """Build the modules that a file must cover.

    Args:
        config: Path of a config with ``model.backbone`` (and ``model.head``).
        with_deconv: Whether the head's deconvolutions are wanted.

    Returns:
        The modules under their prefixes in a checkpoint.

    Raises:
        ValueError: If the config has no such part.
    """
    from mmpose.registry import MODELS

    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    try:
        targets = {BACKBONE: MODELS.build(cfg.model.backbone)}
        if with_deconv:
            targets[DECONV] = MODELS.build(cfg.model.head).deconv_layers
    except (AttributeError, KeyError) as error:
        raise ValueError(
            f'--config {config} describes no such model: {error}'
        ) from None
    return targets


def read_meta(checkpoint: dict, path: Path, config: str | None, ema: bool) -> dict:
    """Collect what is worth knowing about the weights, as plain values.

    Args:
        checkpoint: The loaded checkpoint.
        path: Its file.
        config: The config file that the user named, if any. Otherwise MMEngine's
            experiment name, less its time stamp, is the config's name.
        ema: Whether the averaged weights are taken.

    Returns:
        Metadata; what is unknown is None. ``method`` is the first word of the
        config's name.
    """
    meta = checkpoint.get('meta') or {}
    if config is None:
        name = re.sub(r'_?\d{8}_\d{6}$', '', str(meta.get('experiment_name', '')))
    else:
        name = Path(config).stem
    return dict(
        method=name.partition('_')[0] or None,
        config=name or None,
        epoch=meta.get('epoch'),
        iter=meta.get('iter'),
        weights='averaged' if ema else 'trained',
        source=path.name,
        source_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        mmpose_pretext=__version__,
    )


def save(contents: dict, out: Path) -> None:
    """Write a checkpoint whole or not at all, with bytes that depend on it only."""
    # torch.save writes the name of a file into it, but not that of a buffer.
    buffer = io.BytesIO()
    torch.save(contents, buffer)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + '.partial')
    partial.write_bytes(buffer.getvalue())
    os.replace(partial, out)


def extract(args: argparse.Namespace) -> None:
    """Extract, check, write and report."""
    path, out = Path(args.checkpoint), Path(args.out)
    if path.is_dir() or out.is_dir():
        raise IsADirectoryError(
            f'{path if path.is_dir() else out} is a directory; name a file.'
        )
    if path.exists() and out.exists() and path.samefile(out):
        raise ValueError(f'IN and OUT are the same file, {path}.')
    if out.exists() and not args.force:
        raise FileExistsError(f'{out} exists. Use --force to overwrite it.')
    checkpoint = CheckpointLoader.load_checkpoint(str(path), 'cpu', logger='silent')
    try:
        tensors = model_tensors(checkpoint, args.ema)
        parts = {BACKBONE: strip_prefix(tensors, args.prefix)}
        if args.with_deconv:
            parts[DECONV] = strip_prefix(tensors, DECONV)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    meta = read_meta(checkpoint, path, args.config, args.ema)

    print(
        f'{path} ({meta["config"]}, epoch {meta["epoch"]}): {meta["weights"]} weights'
    )
    targets = build_targets(args.config, args.with_deconv) if args.config else {}
    for prefix, part in parts.items():
        size = sum(tensor.numel() for tensor in part.values())
        print(f'{prefix}*: {len(part)} tensors, {size:,} numbers')
        if prefix in targets:
            found = match(part, targets[prefix], claimed=True)
            check_coverage(found, 1 if args.min_coverage is None else args.min_coverage)
            print(f'  {found.report()}')
    if not targets:
        print('not compared with a model; give --config for that')

    state: dict[str, Tensor] = {
        (prefix if args.with_deconv else '') + name: tensor.detach().clone(
            memory_format=torch.contiguous_format
        )
        for prefix, part in parts.items()
        for name, tensor in part.items()
    }
    save(dict(state_dict=state, meta=meta), out)
    print(f'written: {out} ({out.stat().st_size / 2**20:.1f} MiB)')


def main(argv: Sequence[str] | None = None) -> None:
    """Run the tool; a mistake of the user ends it with one message and code 1."""
    args = parse_args(argv)
    try:
        extract(args)
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
