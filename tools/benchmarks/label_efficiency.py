#!/usr/bin/env python
r"""Measure what an initialization is worth at several fractions of the labels.

`run` trains one network from several initializations on nested, seeded fractions of
its training images and keeps one small json a run; `report` makes a Markdown table, a
CSV and a plot of them, with differences to a baseline that are paired by seed.

    python tools/benchmarks/label_efficiency.py run CONFIG --study work_dirs/study \
        --init scratch hsjp=backbone.pth --fractions 0.05 0.25 1 --seeds 0 1 2 \
        --iterations 3000 --equal-compute 1200 --purpose report
    python tools/benchmarks/label_efficiency.py report work_dirs/study/results

CONFIG is any config of MMPose or of a plugin. Everything is kept in the study's folder:
configs/ (each can be trained alone), runs/ (logs), results/ (what is worth committing).
Started again, `run` goes on where it stopped, skips what is done and tries again what
failed; more seeds, fractions and initializations can be added, but not runs of another
length or recipe. Several may work on one study at the same time.

What makes the comparison fair:
- All initializations get the same images: the choice depends on the seed only, and
  the images of a small fraction are within those of a larger one.
- --iterations gives all fractions the same number of steps; --epochs the same number
  of passes. Schedules of the config are stretched to that length. Warm-ups (by_epoch=
  False) keep theirs, but never take more than a tenth of a run.
- --equal-compute N adds scratch-equal-compute: random weights, N more iterations
  (or epochs over all images), as many as a pretraining took. NAME=N adds
  scratch-equal-compute-NAME, where pretrainings of several lengths are compared.
- Whatever the config loads is left out, also of the head: scratch is random weights,
  drawn as the network's class does where the config says nothing else.
- The result is that of the last iteration, never the best of several.
- `--purpose choose` evaluates on the config's val_dataloader, for the choice of
  hyper-parameters; `--purpose report` on its test_dataloader, and refuses a set on
  which a study beside this one, or one named by --chosen-in, has chosen.
"""

import argparse
import fcntl
import hashlib
import json
import logging
import math
import os
import pickle
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import launching  # noqa: E402
import results  # noqa: E402
import torch  # noqa: E402
from mmengine.config import Config, DictAction  # noqa: E402
from mmengine.logging import MMLogger  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

from mmpose_pretext.engine.run_result_hook import write_json  # noqa: E402
from mmpose_pretext.registry import DATASETS, MODELS  # noqa: E402

TRAIN = Path(__file__).resolve().parents[1] / 'train.py'
MODES = ('full', 'few-layer', 'frozen')
# ResNet and HRNet freeze stages 1 to N; 4 are all.
FROZEN_STAGES = {'few-layer': 3, 'frozen': 4}
EPOCH_HOOK_KEYS = ('switch_epoch', 'num_last_epochs', 'switch_epochs')


@dataclass(frozen=True)
class Init:
    """An initialization.

    Attributes:
        name: Name in tables.
        checkpoint: File with the backbone; None for random weights.
        deconv: Whether the head's deconvolutions are taken from it as well.
        extra: Iterations, or epochs, beyond those of the others.
        sha256: Hash of the checkpoint.
        per_seed: Whether each seed has a checkpoint of its own.
    """

    name: str
    checkpoint: str | None = None
    deconv: bool = False
    extra: int = 0
    sha256: str | None = None
    per_seed: bool = False


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    init: Init
    mode: str
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        """Name of the files of the cell."""
        mode = '' if self.mode == 'full' else f'_{self.mode}'
        return f'{self.init.name}{mode}_{100 * self.fraction:g}pct_seed{self.seed}'


def parse_inits(
    specs: Sequence[str],
    with_deconv: Sequence[str],
    equal_compute: Sequence[str] = (),
    seed: int = 0,
) -> list[Init]:
    """Parse ``scratch`` and ``NAME=FILE``, and ``N`` and ``NAME=N`` of equal compute.

    Args:
        specs: Values of ``--init``.
        with_deconv: Values of ``--with-deconv``.
        equal_compute: Values of ``--equal-compute``.
        seed: What ``{seed}`` in a file's name stands for.

    Raises:
        ValueError: If a specification is of another form, or a name is used twice.
        FileNotFoundError: If a file does not exist.
    """
    inits = []
    for spec in specs:
        name, _, checkpoint = spec.partition('=')
        if not re.fullmatch(r'[A-Za-z0-9][\w.+-]*', name):
            raise ValueError(
                f'--init {spec}: a name must be made of letters, digits and . + - _'
            )
        if name.startswith(results.EQUAL_COMPUTE):
            raise ValueError(
                f'--init {spec}: names that begin with {results.EQUAL_COMPUTE} belong '
                'to --equal-compute'
            )
        if (name == 'scratch') == bool(checkpoint):
            raise ValueError(
                f'--init {spec}: give scratch (random weights), or NAME=FILE with '
                'the file of a pretrained backbone, as in hsjp=backbone.pth'
            )
        per_seed = '{seed}' in checkpoint
        checkpoint = checkpoint.replace('{seed}', str(seed))
        if checkpoint and not Path(checkpoint).is_file():
            raise FileNotFoundError(f'--init {spec}: there is no file {checkpoint}')
        digest = sha256(checkpoint) if checkpoint else None
        deconv = name in with_deconv
        inits.append(Init(name, checkpoint or None, deconv, 0, digest, per_seed))
    names = [init.name for init in inits]
    if len(set(names)) < len(names):
        raise ValueError(f'--init: each name may be used once, but got {names}')
    for name in with_deconv:
        if name not in names or name == 'scratch':
            raise ValueError(
                f'--with-deconv {name}: this is no name of an --init with a file'
            )
    for spec in equal_compute:
        name, _, extra = spec.rpartition('=')
        if spec.startswith('=') or not re.fullmatch(r'[\w.+-]*', name):
            raise ValueError(
                f'--equal-compute {spec}: give a number N, or NAME=N with a name of '
                'letters, digits and . + - _'
            )
        if not extra.isdecimal() or int(extra) < 1:
            raise ValueError(
                f'--equal-compute must be a positive whole number, got {spec}'
            )
        name = f'{results.EQUAL_COMPUTE}-{name}' if name else results.EQUAL_COMPUTE
        inits.append(Init(name, extra=int(extra)))
    names = [init.name for init in inits]
    if len(set(names)) < len(names):
        raise ValueError(
            f'--equal-compute: each name may be used once, but got {equal_compute}'
        )
    return inits


def read_config(name: str, options: dict) -> Config:
    """Read a config by its path, or by ``package::name``.

    Args:
        name: Path or name.
        options: Changes, as of ``--cfg-options``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the config lacks what a study needs, or a key of the options.
    """
    if '::' in name:
        from mmengine.hub import get_config

        cfg = get_config(name)
    elif Path(name).is_file():
        cfg = Config.fromfile(name)
    else:
        raise FileNotFoundError(
            f'config {name} does not exist; give a path, or a name as in '
            'mmpose::body_2d_keypoint/topdown_heatmap/coco/NAME.py'
        )
    launching.apply_options(cfg, options)
    needed = (
        'model.backbone train_dataloader val_dataloader val_evaluator '
        'test_dataloader test_evaluator train_cfg.max_epochs'
    ).split()
    for key in needed:
        if not _get(cfg, key):
            raise ValueError(f'{name} has no {key}, which a study needs')
    for hook in cfg.get('custom_hooks') or ():
        if set(EPOCH_HOOK_KEYS) & set(hook):
            raise ValueError(
                f'{name}: custom_hooks has {hook["type"]}, which acts at an epoch, '
                'but the runs of a study count iterations. Leave it out with '
                "--cfg-options custom_hooks='[]' or a config of your own"
            )
    return cfg


def _get(cfg: Config, key: str) -> object:
    value = cfg
    for part in key.split('.'):
        value = (value or {}).get(part)
    return value


def stretch(schedulers: list[dict], epochs: int, iterations: int) -> list[dict]:
    """Stretch parameter schedulers of ``epochs`` to a number of iterations.

    Args:
        schedulers: Configs of schedulers, by epoch or by iteration.
        epochs: Epochs that those by epoch are made for.
        iterations: Length of the run.

    Returns:
        Schedulers by iteration. What is in epochs is multiplied by ``iterations /
        epochs``. What is in iterations stays, unless a scheduler would end after
        a tenth of the run: it then is shortened to end there.

    Raises:
        ValueError: If a scheduler decays once an epoch without saying when.
    """
    stretched = []
    for scheduler in deepcopy(schedulers):
        if scheduler.get('by_epoch', True):
            ratio = iterations / epochs
            if scheduler['type'] == 'ExponentialLR':
                scheduler['gamma'] **= 1 / ratio
        else:
            end = scheduler.get('end')
            if end is None:
                raise ValueError(
                    f'param_scheduler: {scheduler["type"]} with by_epoch=False has '
                    'no end, so it cannot be fitted to another length'
                )
            ratio = min(1, iterations / 10 / end)
        for key in ('begin', 'end', 'T_max', 'total_iters', 'step_size'):
            if isinstance(scheduler.get(key), (int, float)):
                scheduler[key] = max(round(scheduler[key] * ratio), key != 'begin')
        for key in ('milestones', 'periods'):
            if key in scheduler:
                scheduler[key] = [max(round(v * ratio), 1) for v in scheduler[key]]
        scheduler['by_epoch'] = False
        scheduler.pop('convert_to_iter_based', None)
        stretched.append(scheduler)
    return stretched


def take_fraction(dataset: dict, fraction: float, **kwargs) -> dict:
    """Wrap a dataset's config, or each within a combined one, in LabelFraction.

    Raises:
        ValueError: If one is wrapped already.
    """
    dataset = deepcopy(dataset)
    if str(dataset.get('type')).endswith('LabelFraction'):
        raise ValueError(
            'train_dataloader.dataset is a LabelFraction already; a study takes the '
            'fractions itself, so give the config of the whole set'
        )
    if 'datasets' in dataset:
        dataset['datasets'] = [
            take_fraction(part, fraction, **kwargs) for part in dataset['datasets']
        ]
        return dataset
    if 'dataset' in dataset:
        dataset['dataset'] = take_fraction(dataset['dataset'], fraction, **kwargs)
        return dataset
    return dict(
        type='mmpose_pretext.LabelFraction',
        fraction=fraction,
        dataset=dataset,
        **kwargs,
    )


def _parts(dataset: dict) -> list[dict]:
    """Return the config of a dataset, or of those within it."""
    parts = dataset.get('datasets') or [dataset.get('dataset')]
    if parts == [None]:
        return [dataset]
    return [inner for part in parts for inner in _parts(part)]


def annotation_files(dataset: dict) -> list[Path]:
    """Return the annotation files of a dataset's config, and of those within it."""
    return [
        Path(part.get('data_root') or '', part['ann_file'])
        for part in _parts(dataset)
        if part.get('ann_file')
    ]


def images_of(dataset: dict) -> set[str]:
    """Return the images that a dataset's annotation files name.

    Args:
        dataset: Config. Files in the form of COCO and of MPII are read, others passed
            over.

    Returns:
        Paths of images, with the dataset's folder.
    """
    images = set()
    for part in _parts(dataset):
        folder = Path(
            part.get('data_root') or '', (part.get('data_prefix') or {}).get('img', '')
        )
        for path in annotation_files(part):
            if path.suffix != '.json':
                continue
            content = json.loads(path.read_text())
            if isinstance(content, dict):
                names = [image['file_name'] for image in content.get('images', ())]
            else:
                names = [person['image'] for person in content if 'image' in person]
            images.update(str(folder / name) for name in names)
    return images


def fingerprints(images: Iterable[str]) -> list[str]:
    """Return a short hash of each image's full path, sorted."""
    paths = {os.path.realpath(image) for image in images}
    return sorted(hashlib.sha256(path.encode()).hexdigest()[:12] for path in paths)


def sha256(path: str | Path) -> str:
    """Return the hash of a file's content.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def make_config(
    base: Config,
    cell: Cell,
    args: argparse.Namespace,
    epoch: int,
    whole: int,
    trained: list[dict],
    used: list[dict],
) -> Config:
    """Make the config of a cell; the Runner needs nothing else.

    Args:
        base: The user's config.
        cell: The cell.
        args: Arguments of ``run``.
        epoch: Iterations of an epoch of the fraction, for ``--epochs``.
        whole: Iterations of an epoch of all images, for ``--epochs``.
        trained: The annotation files that the study trains on.
        used: The annotation files that the study evaluates on.

    Returns:
        The config. ``RunResultHook`` in it writes the result.
    """
    cfg = deepcopy(base)
    train = cfg.train_dataloader
    rest = dict(keep_rest=True) if args.keep_rest else {}
    if args.located_share is not None:
        rest['located_share'] = args.located_share
    train.dataset = take_fraction(
        train.dataset,
        cell.fraction,
        seed=cell.seed,
        stratify=args.stratify,
        **rest,
    )
    iterations = (args.iterations or 0) + cell.init.extra
    if args.epochs:
        # a pretraining's epochs are of all images, whatever has labels
        iterations = epoch * args.epochs + whole * cell.init.extra
    interval = math.ceil(iterations / args.evaluations)
    train.pop('batch_sampler', None)
    train.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.param_scheduler = stretch(
        cfg.get('param_scheduler') or [], base.train_cfg.max_epochs, iterations
    )
    cfg.train_cfg = dict(
        type='IterBasedTrainLoop', max_iters=iterations, val_interval=interval
    )
    if args.purpose == 'report':
        cfg.val_dataloader = cfg.test_dataloader
        cfg.val_evaluator = cfg.test_evaluator
        cfg.val_cfg = cfg.get('test_cfg') or dict()

    _leave_out_pretrained(cfg.model)
    if cell.init.checkpoint is not None:
        checkpoint = os.path.abspath(cell.init.checkpoint)
        cfg.model.backbone.init_cfg = dict(
            type='mmpose_pretext.PretrainedBackbone', checkpoint=checkpoint
        )
        if cell.init.deconv:
            cfg.model.head.init_cfg = dict(
                type='mmpose_pretext.PretrainedDeconv', checkpoint=checkpoint
            )
    if cell.mode != 'full':
        cfg.model.backbone.frozen_stages = FROZEN_STAGES[cell.mode]
        cfg.model.backbone.norm_eval = cell.mode == 'frozen'

    study = Path(args.study).resolve()
    cfg.load_from = None
    cfg.resume = True
    cfg.randomness = dict(cfg.get('randomness') or {}, seed=cell.seed)
    cfg.work_dir = str(study / 'runs' / cell.name)
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', by_epoch=False, interval=interval, max_keep_ckpts=1
    )
    cfg.log_processor = dict(cfg.get('log_processor') or {}, by_epoch=False)
    hooks = [
        hook
        for hook in cfg.get('custom_hooks') or []
        if hook['type'] != 'mmpose_pretext.EpochSeedHook'  # there are no epochs
    ]
    cfg.custom_hooks = hooks
    info = dict(
        config=Path(base.filename or args.config).stem,
        init=cell.init.name,
        mode=cell.mode,
        fraction=cell.fraction,
        checkpoint=None,
        recipe_sha256=recipe_hash(base, args),
        trained_on=trained,
        evaluated_on=used,
        purpose=args.purpose,
        selected_split=False,
    )
    if cell.init.checkpoint is not None:
        info['checkpoint'] = dict(
            file=Path(cell.init.checkpoint).name,
            sha256=cell.init.sha256,
            deconv=cell.init.deconv,
        )
    info['config_sha256'] = _hash(cfg, info)
    if cell.init.per_seed:  # of the table, not of the run
        info['checkpoint']['per_seed'] = True
    cfg.custom_hooks.append(
        dict(
            type='mmpose_pretext.RunResultHook',
            out_file=str(study / 'results' / f'{cell.name}.json'),
            info=info,
        )
    )
    return cfg


def _leave_out_pretrained(model: dict) -> None:
    """Remove what loads weights from a model's config and from the parts within.

    Where nothing else is left, the key ``init_cfg`` goes as well: None would keep the
    class from its own initialization, as Kaiming's of a ResNet.
    """
    model.pop('pretrained', None)
    for key, value in list(model.items()):
        if key == 'init_cfg':
            configs = value if isinstance(value, (list, tuple)) else [value]
            kept = [
                c for c in configs if 'Pretrained' not in str((c or {}).get('type'))
            ]
            if len(kept) < len(configs):
                del model[key]
                if kept:
                    model[key] = kept
        elif isinstance(value, dict):
            _leave_out_pretrained(value)
        elif isinstance(value, (list, tuple)):
            for part in value:
                if isinstance(part, dict):
                    _leave_out_pretrained(part)


def _content(cfg: Config) -> dict:
    """Return what of a config determines a run, wherever its files are."""
    content = cfg.to_dict()
    for key in ('work_dir', 'resume', 'visualizer', 'vis_backends'):
        content.pop(key, None)
    return content


def processes_of(args: argparse.Namespace) -> int:
    """Return how many processes train a run: one a GPU, or one on the CPU."""
    return args.gpus_per_run or 1


def recipe_hash(base: Config, args: argparse.Namespace) -> str:
    """Hash what all runs of a study must share, but for the annotation files."""
    content = _content(base)
    _leave_out_pretrained(content['model'])
    names = 'iterations', 'epochs', 'stratify', 'keep_rest', 'purpose'
    options = {name: getattr(args, name) for name in names}
    if args.located_share is not None:  # studies from before it have no such option
        options['located_share'] = args.located_share
    options['gpus'] = processes_of(args)
    text = json.dumps([content, options], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _hash(cfg: Config, info: dict) -> str:
    """Hash what determines a run, wherever its files are."""
    content = _content(cfg)
    for part in ('backbone', 'head'):
        init_cfg = (content['model'].get(part) or {}).get('init_cfg')
        if isinstance(init_cfg, dict) and info['checkpoint']:
            init_cfg.pop('checkpoint', None)
    text = json.dumps([content, info], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def hashed_files(dataset: dict, evaluator: dict | list | None = None) -> list[dict]:
    """Return name and hash of the files that samples and their evaluation come from.

    Args:
        dataset: Config. Its annotation files, and files of detected boxes.
        evaluator: Config. Its annotation files.
    """
    paths = annotation_files(dataset)
    for part in _parts(dataset):
        if part.get('bbox_file'):
            # MMPose's datasets do not look for it in their data_root
            path = Path(part['bbox_file'])
            below = Path(part.get('data_root') or '', path)
            paths.append(below if below.is_file() else path)
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator or {}]
    paths += [Path(m['ann_file']) for m in metrics if m.get('ann_file')]
    return [dict(file=str(path), sha256=sha256(path)) for path in dict.fromkeys(paths)]


def epoch_length(loader: dict, fraction: float, gpus: int = 1, **kwargs) -> int:
    """Return the iterations that a pass over a fraction of a loader's data takes."""
    dataset = DATASETS.build(take_fraction(loader.dataset, fraction, **kwargs))
    return math.ceil(len(dataset) / (loader.batch_size * gpus))


def check_split(
    args: argparse.Namespace, used: list[dict], images: Sequence[str]
) -> None:
    """Refuse to report on what a hyper-parameter was chosen on.

    Args:
        args: Arguments of ``run``.
        used: The annotation files that this study evaluates on.
        images: Their images, as from :func:`fingerprints`.

    Raises:
        ValueError: If a study for choosing has evaluated on one of them, or if a
            study named by ``--chosen-in`` is none.
    """
    study = Path(args.study).resolve()
    others = [Path(folder).resolve() for folder in args.chosen_in]
    for folder in others:
        if not (folder / 'study.json').is_file():
            raise ValueError(f'--chosen-in {folder}: this folder has no study.json')
    others += [path.parent for path in sorted(study.parent.glob('*/study.json'))]
    hashes = {file['sha256'] for file in used}
    for folder in others:
        other = json.loads((folder / 'study.json').read_text())
        chosen = args.purpose == 'report' and other['purpose'] == 'choose'
        if not chosen or args.allow_selected_split:
            continue
        advice = (
            f'used to choose hyper-parameters, in {folder}, so a result on it would '
            "flatter. Report on another set (the config's test_dataloader), or say so "
            'with --allow-selected-split; the results are then marked'
        )
        for file in other['evaluated_on']:
            if file['sha256'] in hashes:
                raise ValueError(f'{file["file"]} was {advice}')
        # another file may name the same images
        shared = len(set(images) & set(other.get('evaluated_images', ())))
        if shared:
            raise ValueError(
                f'{", ".join(f["file"] for f in used)}: {shared} of its images were '
                + advice
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MMEngine from reporting every tensor."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def check_cells(base: Config, cells: Sequence[Cell]) -> None:
    """Build each kind of model once, so that no cell fails for its weights.

    Raises:
        ValueError: If a file does not cover the backbone (or deconvolutions), or
            the backbone cannot be frozen.
    """
    init_default_scope(base.get('default_scope', 'mmpose'))
    for init in dict.fromkeys(cell.init for cell in cells):
        if init.checkpoint is None:
            continue
        parts = [('backbone', 'PretrainedBackbone')]
        if init.deconv:
            parts.append(('head', 'PretrainedDeconv'))
        for part, initializer in parts:
            module_cfg = deepcopy(base.model[part])
            module_cfg.init_cfg = dict(
                type=f'mmpose_pretext.{initializer}', checkpoint=init.checkpoint
            )
            try:
                with _quiet():
                    MODELS.build(module_cfg).init_weights()
            except (ValueError, pickle.UnpicklingError) as error:
                raise ValueError(f'--init {init.name}: {error}') from None
    for mode in {cell.mode for cell in cells} - {'full'}:
        module_cfg = deepcopy(base.model.backbone)
        module_cfg.update(
            frozen_stages=FROZEN_STAGES[mode], norm_eval=True, init_cfg=None
        )
        try:
            backbone = MODELS.build(module_cfg)
            backbone.train()
            trained = [p for p in backbone.parameters() if p.requires_grad]
            if bool(trained) == (mode == 'frozen'):
                raise TypeError(f'{len(trained)} of its tensors are still trained')
        except TypeError as error:
            raise ValueError(
                f'--modes {mode} needs a backbone with the four stages, '
                f'frozen_stages and norm_eval of ResNet and HRNet; '
                f'{base.model.backbone.type} has not ({error})'
            ) from None


def check_study(args: argparse.Namespace, recipe: str) -> dict:
    """Refuse a study of another purpose or recipe.

    Args:
        args: Arguments of ``run``.
        recipe: Hash of what the runs share.

    Returns:
        The study's record; an empty one of a new study.

    Raises:
        ValueError: If the study is another.
    """
    path = Path(args.study, 'study.json')
    if not path.is_file():
        return dict(purpose=args.purpose, evaluated_on=[], recipe_sha256=recipe)
    record = json.loads(path.read_text())
    if record['purpose'] != args.purpose:
        raise ValueError(
            f'--study {args.study} is for --purpose {record["purpose"]}; use '
            f'another folder for --purpose {args.purpose}'
        )
    kept = *path.parent.glob('results/*.json'), *path.parent.glob('runs/*/*.pth')
    if not kept:  # nothing that could be compared
        record['recipe_sha256'] = recipe
    if record.setdefault('recipe_sha256', recipe) != recipe:
        raise ValueError(
            f'--study {args.study} has runs of another config, --iterations, --epochs, '
            '--stratify, --keep-rest, --located-share, --gpus-per-run or '
            '--cfg-options, with which these could not be compared; use another folder'
        )
    return record


def check_overlap(train: dict, evaluation: dict) -> None:
    """Refuse to evaluate on images that are trained on.

    Args:
        train: Config of the training dataset.
        evaluation: Config of the other.

    Raises:
        ValueError: If they share an image.
    """
    shared = images_of(train) & images_of(evaluation)
    if shared:
        files = [', '.join(map(str, annotation_files(d))) for d in (evaluation, train)]
        raise ValueError(
            f'{len(shared)} images are both trained and evaluated on, as '
            f'{min(shared)}: {files[0]} and {files[1]} share them'
        )


def plan(args: argparse.Namespace) -> dict[Cell, Config]:
    """Make the configs of all cells and check all that can be checked beforehand.

    Args:
        args: Arguments of ``run``.

    Returns:
        The cells and their configs, in the order in which they run: seed by
        seed, so that what is there is comparable at any time.

    Raises:
        ValueError: If an argument or a file is of no use.
        FileNotFoundError: If a file does not exist.
    """
    inits = {
        seed: parse_inits(args.init, args.with_deconv, args.equal_compute, seed)
        for seed in sorted(set(args.seeds))
    }
    for fraction in args.fractions:
        if not 0 < fraction <= 1:
            raise ValueError(f'--fractions must be in (0, 1], but got {fraction}')
    for name in ('iterations', 'epochs', 'evaluations', 'jobs'):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f'--{name} must be positive, but got {value}')
    for seed in args.seeds:
        if not 0 <= seed < 2**32:
            raise ValueError(f'--seeds must be in [0, 2**32), but got {seed}')
    if args.gpus_per_run is not None:
        if args.gpus_per_run < 0:
            raise ValueError(
                f'--gpus-per-run must not be negative, but got {args.gpus_per_run}'
            )
        if args.launcher == 'none':
            raise ValueError(
                '--gpus-per-run is for --launcher mim and slurm: with none, a run is '
                'one process, on one GPU if there is one (CUDA_VISIBLE_DEVICES= in the '
                'environment hides it)'
            )
    if args.launcher != 'none' and not args.print_commands:
        if not shutil.which('mim'):
            raise FileNotFoundError(
                f'--launcher {args.launcher} starts runs by mim, which is not in PATH: '
                'activate its environment, or install openmim'
            )
    share = args.located_share
    if share is not None and not (args.keep_rest and 0 < share < 1):
        raise ValueError(
            '--located-share must be in (0, 1), with --keep-rest, but got '
            f'{share}{"" if args.keep_rest else " without --keep-rest"}'
        )
    base = read_config(args.config, args.cfg_options or {})
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for path in annotation_files(base[key].dataset):
            if not path.is_file():
                raise FileNotFoundError(f'{args.config}, {key}: {path} does not exist')
    cells = [
        Cell(init, mode, fraction, seed)
        for seed in inits
        for fraction in sorted(set(args.fractions))
        for mode in dict.fromkeys(args.modes)
        for init in inits[seed]
    ]
    names = [cell.name for cell in cells]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f'two runs would be called {name}: give an --init another name, or '
                'the --fractions fewer digits'
            )
    if args.stratify:  # reads the samples once, to see that they have the key
        part = take_fraction(
            base.train_dataloader.dataset, min(args.fractions), stratify=args.stratify
        )
        DATASETS.build(part)
    check_cells(base, cells)
    split = 'test' if args.purpose == 'report' else 'val'
    evaluation = base[f'{split}_dataloader'].dataset
    trained = hashed_files(base.train_dataloader.dataset)
    used = hashed_files(evaluation, base[f'{split}_evaluator'])
    record = check_study(args, recipe_hash(base, args))
    images = fingerprints(images_of(evaluation))
    check_split(args, used, images)
    check_overlap(base.train_dataloader.dataset, evaluation)
    # files are read once for all cells that share them
    epochs = {(cell.fraction, cell.seed): 0 for cell in cells}
    whole = 0
    if args.epochs:
        gpus = processes_of(args)
        whole = epoch_length(base.train_dataloader, 1, gpus)
        for fraction, seed in epochs:
            # with --keep-rest all images are passed over, each counted once
            epochs[fraction, seed] = whole
            if fraction < 1 and not args.keep_rest:
                epochs[fraction, seed] = epoch_length(
                    base.train_dataloader,
                    fraction,
                    gpus,
                    seed=seed,
                    stratify=args.stratify,
                )
    configs = {}
    for cell in cells:
        epoch = epochs[cell.fraction, cell.seed]
        configs[cell] = make_config(base, cell, args, epoch, whole, trained, used)
    if args.allow_selected_split:
        for cfg in configs.values():
            cfg.custom_hooks[-1]['info']['selected_split'] = True

    stale = [str(path) for cfg in configs.values() if (path := _stale(cfg))]
    if stale:
        raise ValueError(
            'these results and unfinished runs are of another config, weights or '
            'annotation file; use another --study, or move them away to start them '
            'anew: ' + ', '.join(stale)
        )
    _check_rows(configs, Path(args.study, 'results'))
    # all that it has ever evaluated on: what was chosen on stays known
    record['evaluated_on'] += [f for f in used if f not in record['evaluated_on']]
    known = record.get('evaluated_images', ())
    record['evaluated_images'] = sorted({*known, *images})
    write_json(Path(args.study, 'study.json'), record)
    return configs


def _check_rows(configs: dict[Cell, Config], folder: Path) -> None:
    """Refuse seeds that could not share a cell of a table with those that are there.

    Raises:
        ValueError: If they start from other weights, or, of an equal compute, train for
            another number of iterations.
    """
    rows = []
    for file in sorted(folder.glob('*.json')):
        run = json.loads(file.read_text())
        rows.append((str(file), run['info'], run['seed'], run['iterations']))
    for cell, cfg in configs.items():
        if not _result_of(cfg).is_file():
            info, length = cfg.custom_hooks[-1]['info'], cfg.train_cfg.max_iters
            rows.append((f'the run {cell.name}', info, cell.seed, length))
    results.check_rows(rows)


def _stale(cfg: Config) -> Path | None:
    """Return the result, or the folder to resume, that another config has left."""
    hook, work_dir = cfg.custom_hooks[-1], Path(cfg.work_dir)
    out = Path(hook['out_file'])
    if out.is_file():
        found = json.loads(out.read_text())['info']['config_sha256']
        return out if found != hook['info']['config_sha256'] else None
    dumped = work_dir / f'{work_dir.name}.py'  # by MMEngine's Runner
    if (work_dir / 'last_checkpoint').is_file() and dumped.is_file():
        if hook['info']['config_sha256'] not in dumped.read_text():
            return work_dir
    return None


def command_of(config: Path, args: argparse.Namespace) -> list[str]:
    """Return the command that trains a config."""
    if args.launcher == 'none':
        return [sys.executable, str(TRAIN), str(config)]
    gpus = 1 if args.gpus_per_run is None else args.gpus_per_run
    # mim gives a GPU to MMPose's train.py whatever --gpus says
    hide = ['env', 'CUDA_VISIBLE_DEVICES='] if gpus == 0 else []
    command = [*hide, 'mim', 'train', 'mmpose', str(config), '--gpus', str(gpus)]
    if args.launcher == 'slurm':
        command += ['--gpus-per-node', str(min(gpus, 8))]
        command += ['--launcher', 'slurm', '--partition', args.partition]
    elif gpus > 1:
        command += ['--launcher', 'pytorch']
    else:
        command += ['--launcher', 'none']
    return command


def environment(slot: int, args: argparse.Namespace) -> dict[str, str]:
    """Return the environment of a run: its share of the machine.

    Args:
        slot: Number of the place among ``--jobs`` that it takes.
        args: Arguments of ``run``.
    """
    env = dict(os.environ)
    if args.launcher == 'slurm':
        return env
    if args.jobs > 1:
        cores = len(os.sched_getaffinity(0))
        env.setdefault('OMP_NUM_THREADS', str(max(cores // args.jobs, 1)))
    count = torch.cuda.device_count()
    gpus = processes_of(args)
    if count > 1 and args.jobs > 1:
        visible = env.get('CUDA_VISIBLE_DEVICES') or ','.join(map(str, range(count)))
        devices = visible.split(',')
        first = slot * gpus
        env['CUDA_VISIBLE_DEVICES'] = ','.join(
            devices[(first + i) % count] for i in range(gpus)
        )
    return env


def run(args: argparse.Namespace) -> int:
    """Run what is not done yet; return 0 if all is done at the end."""
    configs = plan(args)
    study = Path(args.study)
    todo = []
    for cell, cfg in configs.items():
        path = study / 'configs' / f'{cell.name}.py'
        path.parent.mkdir(parents=True, exist_ok=True)
        cfg.dump(path)
        if not _result_of(cfg).is_file():
            todo.append((cell, path, cfg))
    print(f'{len(configs)} runs, {len(configs) - len(todo)} of them done', flush=True)
    if args.print_commands:
        for _, path, _ in todo:
            print(shlex.join(command_of(path, args)))
        return 0

    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for number, item in enumerate(todo, 1):
        waiting.put((number, *item))
    failed: list[str] = []
    running: set[subprocess.Popen] = set()
    stopping = threading.Event()
    # held while a run starts: one that is not in running yet could not be stopped
    starting = threading.Lock()

    def work(slot: int) -> None:
        while not stopping.is_set():
            try:
                number, cell, path, cfg = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                line = train(cell, path, cfg, slot)
            except (OSError, ValueError) as error:
                failed.append(cell.name)
                line = f'FAILED: {error}'
            if not stopping.is_set():
                print(f'[{number}/{len(todo)}] {cell.name}: {line}', flush=True)

    def train(cell: Cell, path: Path, cfg: Config, slot: int) -> str:
        work_dir = Path(cfg.work_dir)
        work_dir.mkdir(parents=True, exist_ok=True)
        log = work_dir / 'output.log'
        out = _result_of(cfg)
        started = time.monotonic()
        with log.open('a') as output, (work_dir / 'lock').open('w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 'left to another process, which is running it'
            if out.is_file():
                return 'done by another process in the meantime'
            with starting:
                if stopping.is_set():
                    return 'not started'
                process = subprocess.Popen(
                    command_of(path, args),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment(slot, args),
                    # the run holds the lock, too, should this process be killed
                    pass_fds=(lock.fileno(),),
                    start_new_session=True,
                )
                running.add(process)
            status = process.wait()
            running.discard(process)
        if status or not out.is_file():
            failed.append(cell.name)
            tail = [line for line in log.read_text().splitlines() if line.strip()]
            reason = tail[-1] if tail else 'without a word'
            return f'FAILED with status {status}: {reason} (see {log})'
        if not args.keep_checkpoints:
            for file in (*work_dir.glob('*.pth'), work_dir / 'last_checkpoint'):
                file.unlink(missing_ok=True)
        metrics = json.loads(out.read_text())['metrics']
        shown = ', '.join(f'{k} {v:.4g}' for k, v in list(metrics.items())[:3])
        return f'{shown} ({time.monotonic() - started:.0f} s)'

    threads = [
        threading.Thread(target=work, args=(slot,), daemon=True)
        for slot in range(args.jobs)
    ]
    try:
        with _terminate_as_interrupt():
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
    except KeyboardInterrupt:
        with starting:
            stopping.set()
        for process in list(running):
            with suppress(ProcessLookupError):
                # with its data loaders' workers, which hold the lock as well
                os.killpg(process.pid, signal.SIGTERM)
        for process in list(running):
            process.wait()
        print('stopped; the same command goes on from here', file=sys.stderr)
        return 130
    if failed:
        print(
            f'{len(failed)} runs failed: {", ".join(failed)}. The same command tries '
            'them again.',
            file=sys.stderr,
        )
    left = [cell.name for cell, _, cfg in todo if not _result_of(cfg).is_file()]
    left = [name for name in left if name not in failed]
    if left:
        print(f'{len(left)} runs are left to other processes', file=sys.stderr)
    return int(bool(failed or left))


def _result_of(cfg: Config) -> Path:
    return Path(cfg.custom_hooks[-1]['out_file'])


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP stop the runs as Ctrl-C does.

    Batch systems send the one, a terminal that is closed the other; neither reaches
    the runs, which are in sessions of their own. ``nohup`` ignores SIGHUP.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = signal.SIGTERM, signal.SIGHUP
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def report(args: argparse.Namespace) -> int:
    """Print the table; write table, CSV and plot."""
    runs = results.read_study(Path(args.results))
    metric = args.metric or next(iter(runs[0]['metrics']))
    summary = results.summarize(runs, metric, args.baseline, args.interval)
    table = results.study_table(summary)
    out = Path(args.out or Path(args.results).resolve().parent)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'table.md').write_text(table)
    (out / 'table.csv').write_text(results.study_csv(summary))
    results.study_plot(summary, out / 'plot.png')
    print(table)
    print(f'written: {out}/table.md, table.csv, plot.png')
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    sub = commands.add_parser('run', help='run a study, or go on with it')
    sub.add_argument('config', help='path, or mmpose::NAME')
    sub.add_argument('--study', required=True, help='folder of the study')
    sub.add_argument(
        '--init',
        nargs='+',
        required=True,
        metavar='NAME[=FILE]',
        help='scratch, and names of pretrained backbones with their files; {seed} in '
        'FILE is the seed of the run, for a pretraining a seed, whose spread is then '
        'that of both',
    )
    sub.add_argument(
        '--with-deconv',
        nargs='+',
        default=[],
        metavar='NAME',
        help='initializations whose deconvolutions are taken too (files written by '
        'extract_backbone.py --with-deconv)',
    )
    sub.add_argument('--fractions', nargs='+', type=float, default=[0.05, 0.1, 0.25, 1])
    sub.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    length = sub.add_mutually_exclusive_group(required=True)
    length.add_argument('--iterations', type=int, help='length of every run')
    length.add_argument('--epochs', type=int, help='length in passes over the fraction')
    sub.add_argument(
        '--equal-compute',
        nargs='+',
        default=[],
        metavar='[NAME=]N',
        help='iterations (with --epochs: passes over all images) that the pretraining '
        'took, which the control gets on top; NAME is for several pretrainings',
    )
    sub.add_argument('--modes', nargs='+', choices=MODES, default=['full'])
    sub.add_argument(
        '--stratify',
        metavar='KEY',
        help='key of the samples to stratify the fractions by, or num_keypoints',
    )
    sub.add_argument(
        '--keep-rest',
        action='store_true',
        help='train on all images, and mark those of the fraction as located, for '
        'semi-supervised models (see mmpose_pretext.LabelFraction)',
    )
    sub.add_argument(
        '--located-share',
        type=float,
        metavar='SHARE',
        help='with --keep-rest: least share of the fraction in what is trained on, in '
        '(0, 1); a smaller fraction is repeated',
    )
    sub.add_argument('--purpose', choices=('choose', 'report'), required=True)
    sub.add_argument(
        '--chosen-in',
        nargs='+',
        default=[],
        metavar='STUDY',
        help='folders of studies in which hyper-parameters were chosen; those beside '
        '--study are known',
    )
    sub.add_argument(
        '--allow-selected-split',
        action='store_true',
        help='report on a set that hyper-parameters were chosen on; tables say so',
    )
    sub.add_argument(
        '--evaluations', type=int, default=5, help='points of the curve (default: 5)'
    )
    sub.add_argument(
        '--launcher',
        choices=('none', 'mim', 'slurm'),
        default='none',
        help='how a run is started: in a process here, or by mim train',
    )
    sub.add_argument('--jobs', type=int, default=1, help='runs at the same time')
    sub.add_argument(
        '--gpus-per-run', type=int, help='for mim and slurm; 0 is the CPU (default: 1)'
    )
    sub.add_argument('--partition', default='debug', help='for slurm')
    sub.add_argument(
        '--print-commands',
        action='store_true',
        help='write the configs and print the commands of the runs, but run nothing',
    )
    sub.add_argument(
        '--keep-checkpoints',
        action='store_true',
        help='keep the last checkpoint of a finished run',
    )
    sub.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='changes of the config; a key that it does not have needs a leading +',
    )
    sub = commands.add_parser('report', help='make table, CSV and plot')
    sub.add_argument('results', help='folder of result files')
    sub.add_argument('--metric', help='default: the first')
    sub.add_argument('--baseline', default='scratch')
    sub.add_argument('--interval', choices=('t', 'bootstrap'), default='t')
    sub.add_argument('--out', help="folder to write to (default: the study's)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit status."""
    args = parse_args(argv)
    try:
        return run(args) if args.command == 'run' else report(args)
    except (OSError, ValueError) as error:
        print(f'label_efficiency.py: error: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
