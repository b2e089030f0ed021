#!/usr/bin/env python
r"""Evaluate a checkpoint once more, and keep the result as a file for a table.

As `mim test`, on the test_dataloader of CONFIG and by its test_evaluator, and with
what it takes to trust the numbers: the config, what of it was changed, the hashes of
the checkpoint and of the annotation files, versions. For evaluations that training did
not make, as on other images, or of what a network knows without seeing them: the
example makes every image a uniform grey. The file is one of a `models` table of
results.py.

CONFIG is any config of MMPose or of a plugin, by its path or its name in this package;
CHECKPOINT is what training wrote.

Example:
    python tools/benchmarks/evaluate.py \
        wsp_res18_1xb16-8e_synthetic-128x128 work_dirs/wsp/epoch_8.pth \
        --out configs/wsp/results/grey/2_wsp/0.json \
        --cfg-options 'model.data_preprocessor.std=[1e9,1e9,1e9]'
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import label_efficiency  # noqa: E402
import launching  # noqa: E402
from mmengine.config import Config, DictAction  # noqa: E402
from mmengine.runner import CheckpointLoader, Runner  # noqa: E402

from mmpose_pretext import transfer  # noqa: E402
from mmpose_pretext.engine.run_result_hook import (  # noqa: E402
    git_state,
    versions,
    write_json,
)


def evaluate(cfg: Config, checkpoint: str | Path) -> dict:
    """Evaluate a checkpoint on the test set of a config.

    Args:
        cfg: Config of the Runner.
        checkpoint: File that training wrote.

    Returns:
        The result: ``config``, ``checkpoint`` (its ``file`` and ``sha256``), ``seed``
        and ``iterations`` of its training (None if the file does not say), ``metrics``,
        ``info`` (what was ``evaluated_on``), ``versions`` and ``git``.

    Raises:
        ValueError: If the config lacks what an evaluation needs, or the checkpoint a
            tensor of its network.
    """
    for key in ('test_dataloader', 'test_evaluator', 'test_cfg'):
        if cfg.get(key) is None:
            raise ValueError(f'{cfg.filename} has no {key}, which an evaluation needs')
    cfg.load_from = str(checkpoint)
    cfg.resume = False
    if cfg.get('work_dir') is None:
        cfg.work_dir = f'work_dirs/{Path(cfg.filename).stem}'
    runner = Runner.from_cfg(cfg)
    loaded = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu', logger='silent')
    found = transfer.match(transfer.model_tensors(loaded), runner.model, claimed=False)
    if found.missing or found.misshaped:  # the Runner would leave them as drawn
        raise ValueError(
            f'{checkpoint} is of another network than {cfg.filename}: {found.report()}'
        )
    values = runner.test()
    meta = loaded.get('meta', {})
    return dict(
        config=Path(cfg.filename).stem,
        checkpoint=dict(
            file=Path(checkpoint).name, sha256=label_efficiency.sha256(checkpoint)
        ),
        seed=meta.get('seed'),
        iterations=meta.get('iter'),
        metrics={k: float(v) for k, v in values.items() if np.isscalar(v)},
        info=dict(
            evaluated_on=label_efficiency.hashed_files(
                cfg.test_dataloader.dataset, cfg.test_evaluator
            )
        ),
        versions=versions(),
        git=git_state(Path(__file__).parent),
    )


def run(args: argparse.Namespace) -> None:
    """Evaluate and write the result."""
    if args.out.exists() and not args.force:
        raise FileExistsError(f'{args.out} exists; --force overwrites it')
    cfg = Config.fromfile(launching.find_config(args.config))
    launching.check_checkpoint(args.checkpoint)
    options = args.cfg_options or {}
    launching.apply_options(cfg, options)
    result = evaluate(cfg, args.checkpoint)
    write_json(args.out, dict(result, cfg_options=options))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', metavar='CONFIG', help='path or name of a config')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='what to evaluate')
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
        help='changes of the config, which the result names; a key that the config '
        'does not have needs a leading +',
    )
    args = parser.parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError) as error:
        print(f'evaluate.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
