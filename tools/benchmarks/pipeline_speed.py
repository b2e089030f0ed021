"""Measure how fast training samples are made, and print the ratios.

Times the training pipelines of two configs, a stock one for fine-tuning and an HSJP
one, each on photographs and on the crops that pack_person_crops.py made of them. All
are timed in this process with one thread, as in one worker of a data loader, in turns
of a few samples, so that other load on the machine hits all of them alike. The people
are those with labelled keypoints, on which the stock dataset trains.
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, DefaultScope
from rich.progress import track

CONFIGS = Path(__file__).parents[2] / 'configs' / 'hsjp'
STOCK = CONFIGS / 'benchmarks' / 'td-hm_hrnet-w32_scratch_8xb64-210e_coco-256x192.py'
HSJP = CONFIGS / 'hsjp_hrnet-w32_8xb64-210e_coco-256x192.py'
SAMPLES_PER_TURN = 16


def build_dataset(
    config: dict, ann_file: Path, img_prefix: str, database: Path | None = None
) -> BaseDataset:
    """Build a training dataset on given data.

    Args:
        config: Config of the dataset.
        ann_file: COCO-style json.
        img_prefix: Image folder, or empty.
        database: LMDB that holds the images.

    Returns:
        The dataset, restricted to people with keypoints.
    """
    config = dict(config, ann_file=str(ann_file), data_prefix=dict(img=img_prefix))
    config['data_root'] = ''
    if config['type'].endswith('PersonCropDataset'):
        config.update(min_keypoints=1, min_bbox_size=0)
    if database is not None:
        load, *others = config['pipeline']
        backend_args = dict(backend='lmdb', db_path=str(database))
        config['pipeline'] = [dict(load, backend_args=backend_args), *others]
    return DATASETS.build(config)


def time_samples(dataset: BaseDataset, indices: range) -> tuple[float, float]:
    """Make samples.

    Args:
        dataset: Dataset whose pipeline begins with loading the image.
        indices: Which samples.

    Returns:
        Seconds until the images were loaded, and until the samples were made.
    """
    load, *others = dataset.pipeline.transforms
    loading = total = 0.0
    for index in indices:
        start = time.perf_counter()
        results = dataset.get_data_info(index)
        results['dataset'] = dataset
        results = load(results)
        loading += time.perf_counter() - start
        for transform in others:
            results = transform(results)
        total += time.perf_counter() - start
    return loading, total


def measure(
    datasets: dict[str, BaseDataset], repeats: int
) -> dict[str, dict[str, list[float]]]:
    """Time all datasets in turns.

    Args:
        datasets: Datasets of equal length by name.
        repeats: How often all samples are made; one more round warms up.

    Returns:
        For each dataset, the milliseconds a sample of ``loading`` and ``total`` in
        each repeat.
    """
    length = len(next(iter(datasets.values())))
    times = {name: dict(loading=[], total=[]) for name in datasets}
    for repeat in track(range(repeats + 1), 'repeats'):
        sums = {name: np.zeros(2) for name in datasets}
        for start in range(0, length, SAMPLES_PER_TURN):
            indices = range(start, min(start + SAMPLES_PER_TURN, length))
            for name, dataset in datasets.items():
                np.random.seed(repeat)  # noqa: NPY002 - what the transforms use
                sums[name] += time_samples(dataset, indices)
        if repeat:
            for name, (loading, total) in sums.items():
                times[name]['loading'].append(1000 * loading / length)
                times[name]['total'].append(1000 * total / length)
    return times


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return the median over repeats of how many times faster ``fast`` is."""
    return median(a / b for a, b in zip(slow, fast, strict=True))


def summarize(
    times: dict[str, dict[str, list[float]]],
) -> tuple[str, dict[str, float]]:
    """Make the table and the ratios that the project aims at."""
    lines = [
        '| pipeline | loading, ms | whole, ms | samples/s |',
        '|---|---|---|---|',
    ]
    for name, time_ in times.items():
        loading, total = median(time_['loading']), median(time_['total'])
        lines.append(f'| {name} | {loading:.2f} | {total:.2f} | {1000 / total:.0f} |')
    stock, packed = times['stock, photographs'], times['stock, packed crops']
    ratios = {
        'loading, packed / photographs': ratio(stock['loading'], packed['loading']),
        'stock, packed / photographs': ratio(stock['total'], packed['total']),
        'the same, if loading crops took no time': ratio(
            stock['total'],
            [a - b for a, b in zip(packed['total'], packed['loading'], strict=True)],
        ),
    }
    for source in ('photographs', 'packed crops'):
        ratios[f'{source}, HSJP / stock'] = ratio(
            times[f'stock, {source}']['total'], times[f'HSJP, {source}']['total']
        )
    ratios['HSJP on packed / stock on photographs'] = ratio(
        stock['total'], times['HSJP, packed crops']['total']
    )
    lines += ['', '| speed ratio | median |', '|---|---|']
    lines += [f'| {name} | {value:.2f}x |' for name, value in ratios.items()]
    return '\n'.join(lines), ratios


def describe_machine() -> str:
    """Return the processor and the versions that matter for speed."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith('model name'):
                processor = line.split(':', 1)[1].strip()
                break
    return (
        f'{processor}, one thread; Python {platform.python_version()}, '
        f'OpenCV {cv2.__version__}, NumPy {np.__version__}'
    )


def run(args: argparse.Namespace) -> None:
    """Measure and report."""
    if args.out is not None and args.out.exists() and not args.force:
        raise FileExistsError(f'{args.out} exists; give --force to replace it')
    database, packed_json = args.packed / 'crops.lmdb', args.packed / 'crops.json'
    for path in (database, packed_json):
        if not path.exists():
            raise FileNotFoundError(
                f'{path} does not exist; make it with '
                f'tools/dataset_converters/pack_person_crops.py {args.ann_file} '
                f'{args.img_prefix} {args.packed}'
            )
    datasets = {}
    with DefaultScope.overwrite_default_scope('mmpose'):
        for name, file in (('stock', args.stock_config), ('HSJP', args.hsjp_config)):
            config = Config.fromfile(file).train_dataloader.dataset
            datasets[f'{name}, photographs'] = build_dataset(
                config, args.ann_file, args.img_prefix
            )
            datasets[f'{name}, packed crops'] = build_dataset(
                config, packed_json, '', database
            )
    lengths = {name: len(dataset) for name, dataset in datasets.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f'the sources hold different people: {lengths}; {args.packed} must be '
            f'made of {args.ann_file}'
        )
    cv_threads, torch_threads = cv2.getNumThreads(), torch.get_num_threads()
    try:
        cv2.setNumThreads(0)
        torch.set_num_threads(1)
        times = measure(datasets, args.repeats)
    finally:
        cv2.setNumThreads(cv_threads)
        torch.set_num_threads(torch_threads)
    table, ratios = summarize(times)
    machine = describe_machine()
    people = len(datasets['stock, photographs'])
    print(f'{table}\n\n{people} people, {args.repeats} repeats. {machine}')
    if args.out is not None:
        content = dict(
            machine=machine, people=people, milliseconds=times, ratios=ratios
        )
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(content, indent=1))


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'ann_file',
        metavar='ANN',
        type=Path,
        help='COCO json with person keypoints, such as person_keypoints_val2017.json',
    )
    parser.add_argument(
        'img_prefix', metavar='IMG_PREFIX', help='folder of its photographs'
    )
    parser.add_argument(
        'packed',
        metavar='PACKED_DIR',
        type=Path,
        help='what pack_person_crops.py made of them',
    )
    parser.add_argument(
        '--stock-config',
        default=STOCK,
        metavar='CONFIG',
        help='stock fine-tuning config (default: HRNet-W32, 256x192)',
    )
    parser.add_argument(
        '--hsjp-config',
        default=HSJP,
        metavar='CONFIG',
        help='HSJP pretraining config (default: HRNet-W32, 256x192)',
    )
    parser.add_argument(
        '--repeats', type=int, default=7, help='odd is best (default: %(default)s)'
    )
    parser.add_argument(
        '--out', type=Path, metavar='FILE', help='also write all times as json'
    )
    parser.add_argument('--force', action='store_true', help='replace FILE')
    args = parser.parse_args(argv)
    if args.repeats < 1:
        parser.error(f'--repeats must be 1 or more, but got {args.repeats}')
    return args


def main(argv: list[str] | None = None) -> int:
    """Run the command line tool.

    Args:
        argv: Arguments; those of the process if None.

    Returns:
        Exit code: 0, or 1 after an error that is printed.
    """
    args = parse_args(argv)
    try:
        run(args)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
