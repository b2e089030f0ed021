"""Keep results of runs as small files, and write the tables of the READMEs from them.

`collect` reads a work directory of MMEngine and writes one json: its config's name,
seed, length, last metrics and their curve. `tables` replaces every block

    <!-- table: FOLDER METRIC ... -->
    ...
    <!-- end of table -->

of a README by a table of the json files in FOLDER (relative to the README), one row a
run, in the order of the files' names.

Examples:
    python tools/benchmarks/results.py collect work_dirs/NAME \
        configs/hsjp/results/first_run/1.json --label 'HSJP backbone'
    python tools/benchmarks/results.py tables configs/hsjp/README.md
"""

import argparse
import json
import re
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

import mmpose_pretext  # noqa: F401, so that checkpoints can be read

BLOCK = re.compile(
    r'(<!-- table: (?P<folder>\S+) (?P<metrics>[^>]*?) -->\n)'
    r'.*?(<!-- end of table -->)',
    re.DOTALL,
)


def collect(work_dir: str, label: str) -> dict:
    """Read the last complete run of a work directory.

    Args:
        work_dir: Folder that MMEngine's runner wrote.
        label: Name of the run in tables.

    Returns:
        The result, of json types only: ``label``, ``config``, ``seed``, ``epochs``,
        ``iterations``, ``images`` (training images seen), ``seconds_per_iteration``,
        versions, ``metrics`` of the last validation and the ``curve`` of all.

    Raises:
        FileNotFoundError: If the folder holds no log or config.
        ValueError: If nothing was validated.
    """
    folder = Path(work_dir)
    logs = sorted(folder.glob('*/vis_data/scalars.json'))
    configs = sorted(folder.glob('*.py'))
    if not logs or len(configs) != 1 or not (folder / 'last_checkpoint').is_file():
        raise FileNotFoundError(
            f'{folder} must hold one config, last_checkpoint and a log '
            f'(*/vis_data/scalars.json); it holds {len(configs)} configs and '
            f'{len(logs)} logs'
        )
    cfg = Config.fromfile(configs[0])
    last = folder / Path((folder / 'last_checkpoint').read_text().strip()).name
    meta = CheckpointLoader.load_checkpoint(str(last), 'cpu', logger='silent')['meta']
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    curve = [line for line in lines if any('/' in key for key in line)]
    times = [line['time'] for line in lines if 'loss' in line]
    if not curve or not times:
        raise ValueError(f'{folder} holds no validated training')
    return dict(
        label=label,
        config=configs[0].stem,
        seed=meta['seed'],
        epochs=meta['epoch'],
        iterations=meta['iter'],
        images=meta['iter'] * cfg.train_dataloader.batch_size,
        seconds_per_iteration=round(sum(times) / len(times), 3),
        mmengine=meta['mmengine_version'],
        torch=torch.__version__,
        metrics={key: value for key, value in curve[-1].items() if '/' in key},
        curve=[
            {key: value for key, value in line.items() if '/' in key or key == 'step'}
            for line in curve
        ],
    )


def make_table(folder: Path, metrics: list[str]) -> str:
    """Make a Markdown table of the results in a folder.

    Args:
        folder: Folder of json files that :func:`collect` made.
        metrics: Names of metrics, a column each; values are given in per cent.

    Returns:
        The table, ending with a newline.

    Raises:
        FileNotFoundError: If the folder holds no json file.
        ValueError: If a run has no such metric.
    """
    files = sorted(folder.glob('*.json'))
    if not files:
        raise FileNotFoundError(f'{folder} holds no json file')
    rows = ['| run | config | seed | images seen | ' + ' | '.join(metrics) + ' |']
    rows.append('|---|---|---:|---:|' + '---:|' * len(metrics))
    for file in files:
        run = json.loads(file.read_text())
        missing = [name for name in metrics if name not in run['metrics']]
        if missing:
            raise ValueError(
                f'{file} has no metric {missing[0]!r}, but {", ".join(run["metrics"])}'
            )
        values = [f'{100 * run["metrics"][name]:.1f}' for name in metrics]
        cells = [run['label'], f'`{run["config"]}`', str(run['seed'])]
        cells.append(f'{run["images"]:,}')
        rows.append('| ' + ' | '.join(cells + values) + ' |')
    return '\n'.join(rows) + '\n'


def fill_tables(readme: Path) -> str:
    """Return the text of a README with its tables made anew.

    Args:
        readme: The file.

    Returns:
        Its text, with every block replaced.

    Raises:
        ValueError: If it has no block.
    """
    text = readme.read_text()
    if not BLOCK.search(text):
        raise ValueError(f'{readme} has no block <!-- table: FOLDER METRIC ... -->')

    def fill(found: re.Match) -> str:
        folder = readme.parent / found['folder']
        return found[1] + make_table(folder, found['metrics'].split()) + found[4]

    return BLOCK.sub(fill, text)


def main(argv: list[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    command = commands.add_parser('collect', help='make a result file of a run')
    command.add_argument('work_dir')
    command.add_argument('out', help='json to write')
    command.add_argument('--label', required=True, help='name of the run in tables')
    command.add_argument('--force', action='store_true', help='overwrite OUT')
    command = commands.add_parser('tables', help='write the tables of READMEs')
    command.add_argument('readme', nargs='+')
    args = parser.parse_args(argv)
    try:
        if args.command == 'collect':
            out = Path(args.out)
            if out.exists() and not args.force:
                raise FileExistsError(f'{out} exists; --force overwrites it')
            result = collect(args.work_dir, args.label)
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(result, indent=1) + '\n')
        else:
            for path in map(Path, args.readme):
                path.write_text(fill_tables(path))
    except (OSError, ValueError) as error:
        print(f'results.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
