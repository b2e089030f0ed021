r"""Draw the learning curves of one or several runs of MMEngine.

Each run is a work directory; its last log (vis_data/scalars.json, made by MMEngine) is
read. Values of validation are drawn against epochs, losses against iterations.

Example:
    python tools/visualizations/learning_curves.py curves.png \
        scratch=work_dirs/a hsjp=work_dirs/b --key coco/AP loss
"""

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402


def read_scalars(work_dir: str) -> list[dict]:
    """Read the scalars of the last run in a work directory.

    Args:
        work_dir: Folder that MMEngine's runner wrote.

    Returns:
        One dict for each line of ``scalars.json``.

    Raises:
        FileNotFoundError: If the folder holds no log.
    """
    logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not logs:
        raise FileNotFoundError(f'{work_dir} holds no */vis_data/scalars.json')
    return [json.loads(line) for line in logs[-1].read_text().splitlines() if line]


def draw(runs: dict[str, str], keys: list[str], out: str) -> None:
    """Draw one panel for each key with one line for each run.

    Args:
        runs: Work directory of each name.
        keys: Names of scalars.
        out: Picture to write.

    Raises:
        FileNotFoundError: If a work directory holds no log.
        ValueError: If a key is in none of the logs.
    """
    scalars = {name: read_scalars(work_dir) for name, work_dir in runs.items()}
    figure, axes = plt.subplots(
        1, len(keys), figsize=(5 * len(keys), 3.6), squeeze=False
    )
    for key, axis in zip(keys, axes[0], strict=True):
        for name, lines in scalars.items():
            points = [(line['step'], line[key]) for line in lines if key in line]
            if points:
                axis.plot(*zip(*points, strict=True), label=name, marker='.')
        if not axis.lines:
            known = sorted(
                {k for lines in scalars.values() for line in lines for k in line}
            )
            raise ValueError(
                f'no run has logged {key!r}; logged are {", ".join(known)}'
            )
        axis.set_title(key)
        axis.set_xlabel('iteration' if 'loss' in key else 'epoch')
        axis.grid(alpha=0.3)
        axis.legend()
    figure.tight_layout()
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)
    plt.close(figure)


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', help='picture to write (.png, .pdf, .svg)')
    parser.add_argument('runs', nargs='+', help='NAME=WORK_DIR of each run')
    parser.add_argument(
        '--key', nargs='+', required=True, help='scalars to draw, a panel for each'
    )
    parser.add_argument('--force', action='store_true', help='overwrite OUT')
    args = parser.parse_args(argv)
    try:
        runs = dict(run.partition('=')[::2] for run in args.runs)
        if '' in runs.values():
            raise ValueError(f'runs must be NAME=WORK_DIR, but got {args.runs}')
        if Path(args.out).exists() and not args.force:
            raise FileExistsError(f'{args.out} exists; --force overwrites it')
        draw(runs, args.key, args.out)
    except (OSError, ValueError) as error:
        print(f'learning_curves.py: {error}', file=sys.stderr)
        return 1
    print(args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
