r"""Keep results of runs as small files, and write the tables of the READMEs from them.

`collect` reads a work directory of MMEngine and writes one json: its config's name,
seed, length, last metrics and their curve. `tables` replaces every block

    <!-- table: FOLDER METRIC ... -->
    ...
    <!-- end of table -->

of a README by a table of the json files in FOLDER (relative to the README), one row a
run, in the order of the files' names. A block

    <!-- study: FOLDER METRIC -->
    ...
    <!-- end of study -->

is replaced by the table of a label-efficiency study (see label_efficiency.py), and its
plot is drawn beside FOLDER, as in FOLDER_pck-0.1-PCK.png. A block

    <!-- differences: FOLDER METRIC BASELINE -->
    ...
    <!-- end of differences -->

is replaced by the study's differences to another initialization than scratch. A block

    <!-- models: FOLDER METRIC ... -->
    ...
    <!-- end of models -->

is replaced by a table of the folders in FOLDER, each of which holds the results of a
model: "2_four-windows_70-answers" becomes the row "four-windows, 70-answers".

Examples:
    python tools/benchmarks/results.py collect work_dirs/NAME \
        configs/hsjp/results/first_run/1.json --label 'HSJP backbone'
    python tools/benchmarks/results.py tables configs/hsjp/README.md
"""

import argparse
import csv
import hashlib
import io
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib
import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from PIL import Image
from scipy import stats

import mmpose_pretext  # noqa: F401, so that checkpoints can be read

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402


def _block(kind: str, metrics: str) -> re.Pattern:
    """Match a block of a README: its first line, what is within, and its last line."""
    return re.compile(
        rf'(<!-- {kind}: (?P<folder>\S+) {metrics} -->\n).*?(<!-- end of {kind} -->)',
        re.DOTALL,
    )


BLOCK = _block('table', '(?P<metrics>[^>]*?)')
STUDY_BLOCK = _block('study', r'(?P<metric>\S+)')
DIFFERENCES_BLOCK = _block('differences', r'(?P<metric>\S+) (?P<baseline>\S+)')
MODELS_BLOCK = _block('models', '(?P<metrics>[^>]*?)')
MODES = ('full', 'few-layer', 'frozen')
EQUAL_COMPUTE = 'scratch-equal-compute'
LATER = ('recipe_sha256', 'trained_on')


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
        ValueError: If nothing was validated, or the number of processes changed.
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
        images=meta['iter'] * cfg.train_dataloader.batch_size * _processes(folder),
        seconds_per_iteration=round(sum(times) / len(times), 3),
        mmengine=meta['mmengine_version'],
        torch=torch.__version__,
        metrics={key: value for key, value in curve[-1].items() if '/' in key},
        curve=[
            {key: value for key, value in line.items() if '/' in key or key == 'step'}
            for line in curve
        ],
    )


def _processes(folder: Path) -> int:
    """Return how many processes trained, as MMEngine's log says."""
    found = {
        int(number)
        for log in folder.glob('*/*.log')
        for number in re.findall(
            r'^ *GPU number: (\d+)$', log.read_text(), re.MULTILINE
        )
    }
    if len(found) > 1:
        raise ValueError(
            f'{folder} was trained by {" and ".join(map(str, sorted(found)))} '
            'processes by turns, so the number of images is not known'
        )
    return found.pop() if found else 1


def scale_of(runs: Iterable[dict], metric: str) -> int:
    """Return by what to multiply a metric: 100 if all values are shares, else 1.

    Args:
        runs: Results, some of which have the metric.
        metric: Its name.

    Returns:
        100 if no absolute value is more than 1, as those of lengths in mm are.
    """
    values = [run['metrics'][metric] for run in runs if metric in run['metrics']]
    return 100 if all(abs(value) <= 1 for value in values) else 1


def make_table(folder: Path, metrics: list[str]) -> str:
    """Make a Markdown table of the results in a folder.

    Args:
        folder: Folder of json files that :func:`collect` made.
        metrics: Names of metrics, a column each; shares are given in per cent.

    Returns:
        The table, ending with a newline.

    Raises:
        FileNotFoundError: If the folder holds no json file.
        ValueError: If a run has no such metric.
    """
    files = sorted(folder.glob('*.json'))
    if not files:
        raise FileNotFoundError(f'{folder} holds no json file')
    runs = {file: json.loads(file.read_text()) for file in files}
    rows = ['| run | config | seed | images seen | ' + ' | '.join(metrics) + ' |']
    rows.append('|---|---|---:|---:|' + '---:|' * len(metrics))
    scales = {name: scale_of(runs.values(), name) for name in metrics}
    for file, run in runs.items():
        missing = [name for name in metrics if name not in run['metrics']]
        if missing:
            raise ValueError(
                f'{file} has no metric {missing[0]!r}, but {", ".join(run["metrics"])}'
            )
        values = [f'{scales[name] * run["metrics"][name]:.1f}' for name in metrics]
        cells = [run['label'], f'`{run["config"]}`', str(run['seed'])]
        cells.append(f'{run["images"]:,}')
        rows.append('| ' + ' | '.join(cells + values) + ' |')
    return '\n'.join(rows) + '\n'


def compare_models(folder: Path, metrics: list[str]) -> str:
    """Make a Markdown table of models, each of which ran with several seeds.

    Args:
        folder: Folder of folders, one a model, of results.
        metrics: Names of metrics, a column each; shares are given in per cent.

    Returns:
        The table, ending with a newline: mean ± standard deviation of the sample, or
        "-" where a model does not have the metric.

    Raises:
        FileNotFoundError: If a folder holds no results.
        ValueError: If no model has a metric, a part of the results of a model has it,
            results were evaluated on different sets, or those of a model differ in
            config, purpose or number of iterations.
    """
    rows = [
        f'| model | seeds | {" | ".join(metrics)} |',
        '|---|---:|' + '---:|' * len(metrics),
    ]
    models = {
        model: {file: json.loads(file.read_text()) for file in model.glob('*.json')}
        for model in sorted(path for path in folder.glob('*') if path.is_dir())
    }
    every = [run for runs in models.values() for run in runs.values()]
    scales = {name: scale_of(every, name) for name in metrics}
    sets, found = {}, set()
    for model, runs in models.items():
        if not runs:
            raise FileNotFoundError(f'{model} holds no json file')
        first_file, first = next(iter(runs.items()))
        for file, run in runs.items():
            sets.setdefault(json.dumps(run['info']['evaluated_on']), file)
            for key in ('config', 'purpose', 'iterations'):
                one, other = ((r['info'] | r).get(key) for r in (first, run))
                if one != other:
                    raise ValueError(
                        f'{file} has {key}={other!r}, but {first_file} has {one!r}; '
                        'they cannot be seeds of one model'
                    )
        cells = []
        for name in metrics:
            values = [run['metrics'].get(name) for run in runs.values()]
            if values.count(None) not in (0, len(values)):
                raise ValueError(f'only some results in {model} have {name!r}')
            if None in values:
                cells.append('-')
                continue
            found.add(name)
            values = scales[name] * np.array(values)
            cells.append(f'{values.mean():.1f}')
            if len(values) > 1:
                cells[-1] += f' ± {values.std(ddof=1):.1f}'
        label = model.name.partition('_')[2].replace('_', ', ')
        rows.append(f'| {label} | {len(runs)} | {" | ".join(cells)} |')
    if len(rows) == 2:
        raise FileNotFoundError(f'{folder} holds no folder of results')
    for name in metrics:
        if name not in found:
            raise ValueError(f'no result in {folder} has the metric {name!r}')
    if len(sets) > 1:
        first, second = list(sets.values())[:2]
        raise ValueError(f'{first} and {second} were evaluated on different sets')
    return '\n'.join(rows) + '\n'


def read_study(folder: Path) -> list[dict]:
    """Read the results of a label-efficiency study.

    Args:
        folder: Folder of json files that ``RunResultHook`` wrote.

    Returns:
        The results, in the order of the files' names.

    Raises:
        FileNotFoundError: If the folder holds no json file.
        ValueError: If a file is no such result, or is of another network, data
            set, purpose, recipe or length than the others.
    """
    files = sorted(folder.glob('*.json'))
    if not files:
        raise FileNotFoundError(f'{folder} holds no json file')
    runs = []
    for file in files:
        run = json.loads(file.read_text())
        if 'fraction' not in run.get('info', {}):
            raise ValueError(f'{file} is no result of label_efficiency.py')
        runs.append(run)
        for key in ('config', 'evaluated_on', 'purpose', 'recipe_sha256', 'trained_on'):
            # early results have no recipe_sha256 and trained_on
            first, value = runs[0]['info'].get(key), run['info'].get(key)
            if value != first and not (key in LATER and None in (value, first)):
                raise ValueError(
                    f'{file} has {key}={value!r}, but {files[0]} has {first!r}; they '
                    'cannot share a table'
                )
    check_rows(
        (str(file), run['info'], run['seed'], run['iterations'])
        for file, run in zip(files, runs, strict=True)
    )
    return runs


def check_rows(runs: Iterable[tuple[str, dict, int, int]]) -> None:
    """Refuse runs that cannot share a table.

    Args:
        runs: Of each its name in messages, ``info``, seed and iterations.

    Raises:
        ValueError: If runs of a seed and fraction differ in length; if the seeds of an
            initialization, mode and fraction start from different weights, unless one
            of them says that each seed has its own (``per_seed``); or if an equal
            compute is not of one number of further iterations.
    """
    runs = list(runs)
    firsts: dict[tuple, tuple] = {}
    per_seed = {
        info['init']
        for _, info, _, _ in runs
        if (info['checkpoint'] or {}).get('per_seed')
    }

    def compare(key: tuple, value: object, name: str, what: str) -> None:
        first, other = firsts.setdefault(key, (value, name))
        if first != value:
            raise ValueError(
                f'{name} has {what.format(value)}, but {other} has '
                f'{what.format(first)}; they cannot share a table'
            )

    for name, info, seed, iterations in runs:
        if not info['init'].startswith(EQUAL_COMPUTE):
            place = info['mode'], info['fraction'], seed
            compare(place, iterations, name, '{} iterations')
    for name, info, seed, iterations in runs:
        mode, fraction, init = info['mode'], info['fraction'], info['init']
        if init.startswith(EQUAL_COMPUTE):
            if (mode, fraction, seed) in firsts:
                further = iterations - firsts[mode, fraction, seed][0]
                compare((init,), further, name, '{} iterations beyond the others')
        elif checkpoint := info['checkpoint']:
            start = f'{checkpoint["sha256"][:12]}, deconv={checkpoint["deconv"]}'
            place = init, mode, seed if init in per_seed else fraction, 'file'
            compare(place, start, name, 'the weights {}')


def paired_interval(
    differences: list[float], kind: str = 't', level: float = 0.95
) -> tuple[float, float] | None:
    """Return a confidence interval of the mean of paired differences.

    Args:
        differences: One difference a seed.
        kind: ``'t'``, Student's interval: right for few seeds if differences are
            about normal; or ``'bootstrap'``, the percentile interval of 10,000
            resamples (Efron, 1979), too narrow below some ten seeds.
        level: Confidence level.

    Returns:
        Lower and upper end; None for less than two differences.
    """
    values = np.asarray(differences, dtype=float)
    if len(values) < 2:
        return None
    if kind == 'bootstrap':
        draws = np.random.default_rng(0).choice(values, (10_000, len(values)))
        ends = np.quantile(draws.mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
        return tuple(ends.tolist())
    half = stats.t.ppf((1 + level) / 2, len(values) - 1)
    half *= values.std(ddof=1) / len(values) ** 0.5
    return values.mean() - half, values.mean() + half


def summarize(
    runs: list[dict], metric: str, baseline: str = 'scratch', interval: str = 't'
) -> dict:
    """Put the results of a study in order.

    Args:
        runs: Results, as from :func:`read_study`.
        metric: Name of the metric.
        baseline: Initialization that the others are compared with.
        interval: Kind of interval, see :func:`paired_interval`.

    Returns:
        ``metric``, ``unit`` (``'%'`` if all values are fractions, which then are
        multiplied by 100), ``baseline``, ``interval``, ``fractions``, ``info`` of
        the study, and ``rows``: a dict for each initialization and mode with its
        ``init``, ``mode`` and ``cells``: by fraction the ``values`` by seed,
        ``mean``, ``sd`` (of the sample; None for one seed), ``images`` seen in
        the fine-tuning by seed, and, over the seeds that the baseline has as well,
        ``difference`` (mean), its ``interval`` and the number of ``pairs``.

    Raises:
        ValueError: If a run has no such metric or the baseline did not run.
    """
    for run in runs:
        if metric not in run['metrics']:
            raise ValueError(
                f'there is no metric {metric!r}, but {", ".join(run["metrics"])}'
            )
    inits = list(dict.fromkeys(run['info']['init'] for run in runs))
    if baseline not in inits:
        raise ValueError(f'no run has the baseline {baseline!r}, but only {inits}')
    inits.sort(key=lambda name: (name != baseline, not name.startswith(baseline), name))
    modes = [m for m in MODES if any(run['info']['mode'] == m for run in runs)]
    fractions = sorted({run['info']['fraction'] for run in runs})
    scale = scale_of(runs, metric)

    def runs_of(init: str, mode: str, fraction: float) -> dict[int, dict]:
        wanted = dict(init=init, mode=mode, fraction=fraction)
        return {
            run['seed']: run
            for run in runs
            if all(run['info'][key] == value for key, value in wanted.items())
        }

    def cell(init: str, mode: str, fraction: float) -> dict | None:
        own = runs_of(init, mode, fraction)
        if not own:
            return None
        other = runs_of(baseline, mode, fraction)
        values = {seed: scale * own[seed]['metrics'][metric] for seed in sorted(own)}
        differences = [
            values[seed] - scale * other[seed]['metrics'][metric]
            for seed in values
            if seed in other and init != baseline
        ]
        array = np.array(list(values.values()))
        return dict(
            values=values,
            mean=array.mean().item(),
            sd=array.std(ddof=1).item() if len(array) > 1 else None,
            images={seed: own[seed]['images'] for seed in values},
            difference=np.mean(differences).item() if differences else None,
            interval=paired_interval(differences, interval),
            pairs=len(differences),
        )

    rows = []
    for mode in modes:
        for init in inits:
            cells = {f: cell(init, mode, f) for f in fractions}
            if any(cells.values()):
                rows.append(dict(init=init, mode=mode, cells=cells))
    info = dict(runs[0]['info'])
    info['selected_split'] = any(run['info']['selected_split'] for run in runs)
    return dict(
        metric=metric,
        unit='%' if scale == 100 else '',
        baseline=baseline,
        interval=interval,
        fractions=fractions,
        info=info,
        rows=rows,
    )


def _row_label(row: dict) -> str:
    return row['init'] + ('' if row['mode'] == 'full' else f' ({row["mode"]})')


def study_table(summary: dict) -> str:
    """Make the Markdown table of a study.

    Args:
        summary: What :func:`summarize` returns.

    Returns:
        Two tables, of values and of differences, with what they mean above.
    """
    info, counts = summary['info'], _seeds_of_cells(summary)
    seeds = ', '.join(map(str, counts[:-1])) + (' or ' if counts[1:] else '')
    seeds += f'{counts[-1]} ' + ('seed' if counts == [1] else 'seeds')
    files = ', '.join(Path(file['file']).name for file in info['evaluated_on'])
    unit = ', in %,' if summary['unit'] else ''
    intro = (
        f'{summary["metric"]}{unit} of `{info["config"]}` on {files} after the last '
        f'iteration: mean ± standard deviation of {seeds}.'
    )
    if info['purpose'] == 'choose':
        intro += ' **Runs to choose hyper-parameters by, not a result.**'
    if info['selected_split']:
        intro += ' **Hyper-parameters were chosen on this very set.**'

    def value(cell: dict | None) -> str:
        if cell is None:
            return '-'
        spread = '' if cell['sd'] is None else f' ± {cell["sd"]:.1f}'
        return f'{cell["mean"]:.1f}{spread}{_number(len(cell["values"]), counts[-1])}'

    values = _by_fraction(summary, summary['rows'], value)
    return f'{intro}\n\n{values}\n{differences_table(summary)}'


def differences_table(summary: dict) -> str:
    """Make the Markdown table of a study's differences to its baseline.

    Args:
        summary: What :func:`summarize` returns.
    """
    others = [row for row in summary['rows'] if row['init'] != summary['baseline']]
    most = max(_seeds_of_cells(summary))
    kind = dict(t="Student's t", bootstrap='bootstrap')[summary['interval']]

    def difference(cell: dict | None) -> str:
        if cell is None or cell['difference'] is None:
            return '-'
        ends = cell['interval']
        ends = '' if ends is None else f' [{ends[0]:+.1f}, {ends[1]:+.1f}]'
        return f'{cell["difference"]:+.1f}{ends}{_number(cell["pairs"], most)}'

    return (
        f'Difference to {summary["baseline"]}, paired by seed, with its 95 % interval '
        f'({kind}):\n\n{_by_fraction(summary, others, difference)}'
    )


def _seeds_of_cells(summary: dict) -> list[int]:
    cells = [cell for row in summary['rows'] for cell in row['cells'].values() if cell]
    return sorted({len(cell['values']) for cell in cells})


def _number(count: int, most: int) -> str:
    return '' if count == most else f' (n = {count})'


def _by_fraction(
    summary: dict, rows: list[dict], shown: Callable[[dict | None], str]
) -> str:
    fractions = summary['fractions']
    columns = ' | '.join(f'{100 * fraction:g} % of labels' for fraction in fractions)
    lines = [f'| initialization | {columns} |', '|---|' + '---:|' * len(fractions)]
    for row in rows:
        cells = ' | '.join(shown(row['cells'][fraction]) for fraction in fractions)
        lines.append(f'| {_row_label(row)} | {cells} |')
    return '\n'.join(lines) + '\n'


def study_csv(summary: dict) -> str:
    """Make a CSV of a study: a line for each initialization, mode, fraction, seed.

    Args:
        summary: What :func:`summarize` returns.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['init', 'mode', 'fraction', 'seed', 'images', summary['metric']])
    for row in summary['rows']:
        for fraction, cell in row['cells'].items():
            for seed, value in (cell or dict(values={}))['values'].items():
                writer.writerow(
                    [
                        *(row['init'], row['mode'], fraction, seed),
                        *(cell['images'][seed], value),
                    ]
                )
    return text.getvalue()


def study_plot(summary: dict, out: Path) -> None:
    """Plot the metric against the fraction of labels, one line an initialization.

    Args:
        summary: What :func:`summarize` returns.
        out: Picture to write. Bars show the standard deviation.
    """
    figure, axis = plt.subplots(figsize=(6, 4))
    for row in summary['rows']:
        cells = {f: cell for f, cell in row['cells'].items() if cell}
        axis.errorbar(
            [100 * fraction for fraction in cells],
            [cell['mean'] for cell in cells.values()],
            yerr=[cell['sd'] or 0 for cell in cells.values()],
            label=_row_label(row),
            marker='o',
            capsize=3,
        )
    axis.set_xscale('log')
    ticks = [100 * fraction for fraction in summary['fractions']]
    axis.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel('labelled images, %')
    axis.set_ylabel(summary['metric'] + (', %' if summary['unit'] else ''))
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    figure.savefig(
        out, dpi=120, metadata={'Software': None, 'Description': _fingerprint(summary)}
    )
    plt.close(figure)


def plot_path(folder: Path, metric: str) -> Path:
    """Return the path of the plot of a metric of the study in a folder."""
    return folder.with_name(
        f'{folder.name}_{re.sub("[^a-zA-Z0-9.]+", "-", metric)}.png'
    )


def _fingerprint(summary: dict) -> str:
    return hashlib.sha256(study_csv(summary).encode()).hexdigest()


def plot_is_current(summary: dict, plot: Path) -> bool:
    """Tell whether a plot was drawn from the results of a study.

    Args:
        summary: What :func:`summarize` returns.
        plot: Picture that :func:`study_plot` may have written.
    """
    if not plot.is_file():
        return False
    with Image.open(plot) as picture:
        return picture.info.get('Description') == _fingerprint(summary)


def fill_tables(readme: Path, plots: bool = False) -> str:
    """Return the text of a README with its tables made anew.

    Args:
        readme: The file.
        plots: Whether to draw the plots of studies as well.

    Returns:
        Its text, with every block replaced.

    Raises:
        ValueError: If it has no block.
    """
    text = readme.read_text()
    blocks = BLOCK, STUDY_BLOCK, DIFFERENCES_BLOCK, MODELS_BLOCK
    if not any(block.search(text) for block in blocks):
        raise ValueError(
            f'{readme} has no block <!-- table: FOLDER METRIC ... -->, '
            '<!-- study: FOLDER METRIC -->, <!-- differences: FOLDER METRIC BASELINE '
            '--> or <!-- models: FOLDER METRIC ... -->'
        )

    def fill(make: Callable[[Path, list[str]], str]) -> Callable[[re.Match], str]:
        def filled(found: re.Match) -> str:
            folder = readme.parent / found['folder']
            return found[1] + make(folder, found['metrics'].split()) + found[4]

        return filled

    def fill_study(found: re.Match) -> str:
        folder = readme.parent / found['folder']
        summary = summarize(read_study(folder), found['metric'])
        plot = plot_path(folder, found['metric'])
        if plots and not plot_is_current(summary, plot):
            study_plot(summary, plot)
        return found[1] + study_table(summary) + found[4]

    def fill_differences(found: re.Match) -> str:
        runs = read_study(readme.parent / found['folder'])
        summary = summarize(runs, found['metric'], found['baseline'])
        return found[1] + differences_table(summary) + found[5]

    text = MODELS_BLOCK.sub(fill(compare_models), BLOCK.sub(fill(make_table), text))
    return DIFFERENCES_BLOCK.sub(fill_differences, STUDY_BLOCK.sub(fill_study, text))


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
                path.write_text(fill_tables(path, plots=True))
    except (OSError, ValueError) as error:
        print(f'results.py: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
