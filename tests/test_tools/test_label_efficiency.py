"""The label-efficiency benchmark: what it plans, runs, survives and reports."""

import copy
import csv
import fcntl
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
NAME = 'td-hm_res18-half_scratch_1xb16-30e_synthetic-96x64'
PRETRAINED = 'hsjp_res18-half_1xb16-12e_synthetic-96x64'


@pytest.fixture
def tool(load_tool):
    load_tool('benchmarks/results.py')
    return load_tool('benchmarks/label_efficiency.py')


@pytest.fixture
def folder(demo_dir, tmp_path, monkeypatch):
    """A folder with a network's config, data, and a pretrained checkpoint."""
    cfg = Config.fromfile(ROOT / 'configs' / 'synthetic' / f'{NAME}.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.ann_file = 'annotations/test.json'
    cfg.dump(tmp_path / 'net.py')
    data = tmp_path / 'data' / 'synthetic'
    data.mkdir(parents=True)
    for path in (demo_dir / 'data' / 'synthetic').iterdir():
        if path.name != 'annotations':
            (data / path.name).symlink_to(path)
    (data / 'annotations').mkdir()
    for path in (demo_dir / 'data' / 'synthetic' / 'annotations').iterdir():
        (data / 'annotations' / path.name).write_bytes(path.read_bytes())
    # the first image of the validation set is for testing, the others for choosing
    val = data / 'annotations' / 'person_keypoints_val.json'
    content = json.loads(val.read_text())
    for path, images in (
        (val, content['images'][1:]),
        (val.with_name('test.json'), content['images'][:1]),
    ):
        ids = {image['id'] for image in images}
        people = [a for a in content['annotations'] if a['image_id'] in ids]
        path.write_text(json.dumps(content | dict(images=images, annotations=people)))
    (tmp_path / 'pre.pth').symlink_to(
        demo_dir / 'work_dirs' / PRETRAINED / 'epoch_1.pth'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arguments(*more):
    return [
        'run',
        'net.py',
        '--study',
        'study/a',
        '--init',
        'scratch',
        'hsjp=pre.pth',
        '--fractions',
        '0.5',
        '1',
        '--seeds',
        '0',
        '1',
        '--purpose',
        'choose',
        *more,
    ]


def planned(tool, *more):
    return tool.plan(tool.parse_args(arguments(*more)))


def test_cells_differ_only_in_what_they_are_about(tool, folder):
    more = '--iterations', '100', '--equal-compute', '40', 'long=300'
    configs = planned(tool, *more)
    assert len(configs) == 4 * 2 * 2
    by_name = {cell.name: cfg for cell, cfg in configs.items()}
    scratch, hsjp, equal = (
        by_name[f'{name}_50pct_seed1'].to_dict()
        for name in ('scratch', 'hsjp', 'scratch-equal-compute')
    )
    assert scratch['train_cfg']['max_iters'] == hsjp['train_cfg']['max_iters'] == 100
    assert equal['train_cfg']['max_iters'] == 140
    longer = by_name['scratch-equal-compute-long_50pct_seed1']
    assert longer.train_cfg.max_iters == 400
    assert scratch['randomness']['seed'] == 1
    assert scratch['train_dataloader'] == hsjp['train_dataloader']
    assert scratch['train_dataloader'] == equal['train_dataloader']
    assert scratch['train_dataloader']['dataset']['fraction'] == 0.5
    assert scratch['train_dataloader']['dataset']['seed'] == 1
    assert hsjp['model']['backbone']['init_cfg']['checkpoint'] == str(
        folder / 'pre.pth'
    )
    for key in ('work_dir', 'custom_hooks'):
        assert scratch.pop(key) != hsjp.pop(key)
    hsjp['model']['backbone'].pop('init_cfg')
    scratch['model']['backbone'].pop('init_cfg', None)
    assert scratch == hsjp


@pytest.mark.parametrize(
    ('purpose', 'file'),
    [('choose', 'person_keypoints_val.json'), ('report', 'test.json')],
)
def test_cells_are_evaluated_on_the_set_of_the_purpose(tool, folder, purpose, file):
    base = Config.fromfile('net.py')
    base.val_evaluator = dict(type='PCKAccuracy', prefix='choose')
    base.test_evaluator = dict(type='PCKAccuracy', prefix='report')
    base.dump('net.py')
    for cfg in planned(tool, '--iterations', '10', '--purpose', purpose).values():
        assert cfg.val_dataloader.dataset.ann_file == f'annotations/{file}'
        assert cfg.val_evaluator.prefix == purpose
        (used,) = cfg.custom_hooks[-1]['info']['evaluated_on']
        assert used['file'].endswith(file)


def test_rest_of_the_images_is_kept_on_request(tool, folder):
    options = '--epochs', '3', '--stratify', 'num_keypoints'
    without, kept = (
        [
            (cfg.train_dataloader.dataset, cfg.train_cfg.max_iters)
            for cfg in planned(tool, *options, *more).values()
        ]
        for more in ((), ('--keep-rest',))
    )
    assert all('keep_rest' not in dataset for dataset, _ in without)
    assert all(dataset.keep_rest for dataset, _ in kept)
    assert {dataset.stratify for dataset, _ in kept} == {'num_keypoints'}
    assert {dataset.fraction for dataset, _ in kept} == {0.5, 1}
    # a pass is over all images, whatever the fraction
    assert {length for _, length in kept} == {max(length for _, length in without)}
    more = '--keep-rest', '--located-share', '0.3'
    for cfg in planned(tool, *options, *more).values():
        assert cfg.train_dataloader.dataset.located_share == 0.3


def test_equal_epochs_give_equal_passes(tool, folder):
    configs = planned(tool, '--epochs', '3')
    base = Config.fromfile('net.py')
    coco = json.loads(
        (folder / 'data/synthetic/annotations/person_keypoints_train.json').read_text()
    )
    people = len(coco['annotations'])
    lengths = {
        cell.fraction: cfg.train_cfg.max_iters
        for cell, cfg in configs.items()
        if cell.seed == 0
    }
    assert lengths[1.0] == 3 * -(-people // base.train_dataloader.batch_size)
    assert lengths[0.5] == 3 * -(-(people // 2) // base.train_dataloader.batch_size)
    # a pretraining of 4 epochs sees all images, so its control does
    for cell, cfg in planned(tool, '--epochs', '3', '--equal-compute', '4').items():
        extra = cfg.train_cfg.max_iters - lengths[cell.fraction]
        if cell.init.name == 'scratch-equal-compute':
            assert extra == 4 * lengths[1.0] // 3
        else:
            assert extra == 0
    # and two GPUs see two batches a step
    options = '--epochs', '3', '--gpus-per-run', '2', '--launcher', 'mim'
    for cell, cfg in planned(tool, *options, '--print-commands').items():
        assert cfg.train_cfg.max_iters == 3 * -(-lengths[cell.fraction] // 3 // 2)


def test_pretrained_weights_of_the_config_are_not_scratch(tool, folder):
    cfg = Config.fromfile('net.py')
    pretrained = dict(type='Pretrained', checkpoint='x.pth')
    normal = dict(type='Normal', layer='Conv2d', std=0.01)
    cfg.model.backbone.init_cfg = pretrained
    cfg.model.head.init_cfg = dict(pretrained, type='mmpose_pretext.PretrainedDeconv')
    cfg.model.init_cfg = [normal, pretrained]
    cfg.model.neck = dict(type='Neck', parts=[dict(init_cfg=[pretrained])])
    cfg.model.pretrained = 'x.pth'
    cfg.load_from = 'y.pth'
    cfg.dump('net.py')
    configs = planned(tool, '--iterations', '10')
    for cell, cfg in configs.items():
        assert cfg.load_from is None
        assert 'pretrained' not in cfg.model
        # without the key: None would take the class's own initialization away
        assert 'init_cfg' not in cfg.model.head
        assert 'init_cfg' not in cfg.model.neck.parts[0]
        assert cfg.model.init_cfg == [normal]
        if cell.init.name == 'scratch':
            assert 'init_cfg' not in cfg.model.backbone
        else:
            assert cfg.model.backbone.init_cfg.checkpoint.endswith('pre.pth')


def test_options_are_merged(tool, folder):
    options = ['optim_wrapper.optimizer.lr=0.5', '+train_dataloader.prefetch_factor=3']
    for cfg in planned(tool, '--iterations', '10', '--cfg-options', *options).values():
        assert cfg.optim_wrapper.optimizer.lr == 0.5
        assert cfg.train_dataloader.prefetch_factor == 3


def test_modes_freeze(tool, folder):
    from mmpose.registry import MODELS

    configs = planned(
        tool, '--iterations', '10', '--modes', 'full', 'few-layer', 'frozen'
    )
    trained = {}
    for cell, cfg in configs.items():
        if cell.init.name == 'scratch' and cell.seed == 0 and cell.fraction == 1:
            backbone = MODELS.build(cfg.model.backbone)
            backbone.train()
            trained[cell.mode] = {
                name.partition('.')[0]
                for name, p in backbone.named_parameters()
                if p.requires_grad
            }
            norms = [m for n, m in backbone.named_modules() if n.endswith('bn1')]
            assert any(m.training for m in norms) == (cell.mode != 'frozen')
    assert trained['frozen'] == set()
    assert trained['few-layer'] == {'layer4'}
    assert 'conv1' in trained['full']


def test_stretch(tool):
    stock = [
        dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
        dict(
            type='MultiStepLR', begin=0, end=210, milestones=[170, 200], by_epoch=True
        ),
    ]
    before = copy.deepcopy(stock)
    warm_up, steps = tool.stretch(stock, 210, 21000)
    assert stock == before
    assert warm_up['end'] == 500
    assert steps['milestones'] == [17000, 20000]
    assert steps['end'] == 21000
    assert steps['by_epoch'] is False
    warm_up, steps = tool.stretch(stock, 210, 1000)
    assert warm_up['end'] == 100
    assert steps['milestones'] == [810, 952]
    cosine = dict(type='CosineAnnealingLR', T_max=14, convert_to_iter_based=True)
    assert tool.stretch([cosine], 14, 70) == [
        dict(type='CosineAnnealingLR', T_max=70, by_epoch=False)
    ]
    # ends at the same rate: 0.9 ** 10 == gamma ** 40
    decay = tool.stretch([dict(type='ExponentialLR', gamma=0.9)], 10, 40)[0]
    assert decay['gamma'] ** 40 == pytest.approx(0.9**10)
    with pytest.raises(ValueError, match='has no end'):
        tool.stretch([dict(type='LinearLR', by_epoch=False)], 10, 40)


def test_stretched_rates_are_those_of_the_whole_run(tool):
    """Compare with MMEngine's schedulers, epoch by epoch."""
    from mmengine.optim import CosineAnnealingLR, MultiStepLR

    def rates(scheduler_cfg, length):
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        cfg = dict(scheduler_cfg)
        kind = dict(MultiStepLR=MultiStepLR, CosineAnnealingLR=CosineAnnealingLR)
        scheduler = kind[cfg.pop('type')](optimizer, **cfg)
        values = []
        for _ in range(length):
            values.append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            scheduler.step()
        return np.array(values)

    for cfg in (
        dict(type='MultiStepLR', milestones=[6, 9], gamma=0.1),
        dict(type='CosineAnnealingLR', T_max=10),
    ):
        (stretched,) = tool.stretch([cfg], 10, 70)
        assert np.allclose(rates(stretched, 70)[::7], rates(cfg, 10))


def test_combined_datasets_are_wrapped_inside(tool):
    cfg = dict(
        type='CombinedDataset',
        datasets=[
            dict(type='CocoDataset', ann_file='a.json', data_root='r'),
            dict(type='RepeatDataset', dataset=dict(type='MpiiDataset', ann_file='b')),
        ],
    )
    wrapped = tool.take_fraction(cfg, 0.1, seed=5)
    first, second = wrapped['datasets']
    assert first['type'] == 'mmpose_pretext.LabelFraction'
    assert first['dataset'] == cfg['datasets'][0]
    assert second['dataset']['type'] == 'mmpose_pretext.LabelFraction'
    assert second['dataset']['seed'] == 5
    assert tool.annotation_files(wrapped) == [Path('r/a.json'), Path('b')]


def test_files_of_samples_and_of_their_evaluation(tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('root/a.json', 'boxes.json', 'root/own.json', 'instances.json'):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(name)
    evaluator = [dict(type='PCKAccuracy'), dict(ann_file='root/a.json')]
    for boxes, path in (('boxes.json', 'boxes.json'), ('own.json', 'root/own.json')):
        dataset = dict(data_root='root', ann_file='a.json', bbox_file=boxes)
        found = tool.hashed_files(dict(dataset=dataset), evaluator)
        assert [file['file'] for file in found] == ['root/a.json', path]
    found = tool.hashed_files(dataset, dict(ann_file='instances.json'))
    assert found[-1]['file'] == 'instances.json'
    assert found[-1]['sha256'] == tool.sha256('instances.json')


def test_refused_before_anything_runs(tool, folder, capsys, monkeypatch):
    torch.save(dict(state_dict={'backbone.conv1.weight': torch.zeros(1)}), 'bad.pth')
    torch.save(dict(state_dict={}, meta=Namespace()), 'odd.pth')
    iterations = ['--iterations', '10']
    cases = [
        (['--init', 'hsjp'], 'NAME=FILE'),
        (['--init', 'scratch=pre.pth'], 'give scratch (random weights), or NAME=FILE'),
        (['--init', 'hsjp=none.pth'], 'there is no file none.pth'),
        (['--init', 'a/b=pre.pth'], 'must be made of letters'),
        (['--init', 'scratch', 'scratch'], 'each name may be used once'),
        (['--init', 'scratch', 'x=bad.pth'], '--init x: PretrainedBackbone, bad.pth'),
        (['--fractions', '0'], '--fractions must be in (0, 1], but got 0.0'),
        (['--fractions', '1.5'], '--fractions must be in (0, 1], but got 1.5'),
        (['--jobs', '0'], '--jobs must be positive'),
        (['--init', 'scratch-equal-compute-8e=pre.pth'], 'belong to --equal-compute'),
        (['--equal-compute', '0'], '--equal-compute must be a positive whole number'),
        (['--equal-compute', '8e=1.5'], 'a positive whole number, got 8e=1.5'),
        (['--equal-compute', 'a/b=1'], '--equal-compute a/b=1: give a number N, or'),
        (['--equal-compute', '=1'], '--equal-compute =1: give a number N, or'),
        (['--equal-compute', '1', '2'], 'each name may be used once'),
        (['--with-deconv', 'scratch'], '--with-deconv scratch'),
        (['--chosen-in', 'nowhere'], 'has no study.json'),
        (['--cfg-options', 'model.backbone.dept=34'], 'did you mean'),
        (
            ['--cfg-options', 'val_dataloader.dataset.ann_file=x.json'],
            'val_dataloader: data/synthetic/x.json does not exist',
        ),
        (
            [
                '--cfg-options',
                'val_dataloader.dataset.ann_file='
                'annotations/person_keypoints_train.json',
            ],
            'are both trained and evaluated on, as data/synthetic/images/train_',
        ),
        (['--launcher', 'mim'], 'mim, which is not in PATH'),
        (['--seeds', '-1'], '--seeds must be in [0, 2**32), but got -1'),
        (['--located-share', '0.5'], 'but got 0.5 without --keep-rest'),
        (['--keep-rest', '--located-share', '1'], 'must be in (0, 1), with --keep-re'),
        (['--gpus-per-run', '2'], '--gpus-per-run is for --launcher mim and slurm'),
        (['--launcher', 'mim', '--gpus-per-run', '-2'], 'must not be negative'),
        (['--stratify', 'age'], "stratify='age' is no key of the samples"),
        (['--init', 'scratch', 'x=odd.pth'], '--init x: '),
        (['--fractions', '0.5', '0.50000001'], 'called scratch_50pct_seed0'),
        (
            ['--init', 'x=pre.pth', 'x_frozen=pre.pth', '--modes', 'full', 'frozen'],
            'two runs would be called x_frozen_50pct_seed0',
        ),
    ]
    monkeypatch.setenv('PATH', '')
    for more, message in cases:
        assert tool.main(arguments(*iterations, *more)) == 2
        error = capsys.readouterr().err
        assert error.startswith('label_efficiency.py: error: ')
        assert message in error
    assert tool.main(['run', 'none.py', *arguments(*iterations)[2:]]) == 2
    assert 'config none.py does not exist' in capsys.readouterr().err
    cfg = Config.fromfile('net.py')
    cfg.custom_hooks = [dict(type='mmdet.PipelineSwitchHook', switch_epoch=3)]
    cfg.dump('net.py')
    assert tool.main(arguments(*iterations)) == 2
    error = capsys.readouterr().err
    assert 'custom_hooks has mmdet.PipelineSwitchHook' in error
    cfg.custom_hooks = []
    data = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(
        type='mmpose_pretext.LabelFraction', fraction=0.5, dataset=data
    )
    cfg.dump('net.py')
    assert tool.main(arguments(*iterations)) == 2
    assert 'is a LabelFraction already' in capsys.readouterr().err
    cfg.train_dataloader.dataset = data
    cfg.dump('net.py')
    assert not Path('study').exists()
    advice = re.search(r'--cfg-options (\S+)=\[\]', error.replace("'", ''))[1]
    planned(tool, *iterations, '--cfg-options', f'{advice}=[]')


def test_backbone_that_cannot_be_frozen(tool, folder, capsys):
    cfg = Config.fromfile('net.py')
    cfg.model.backbone = dict(type='AlexNet')
    cfg.dump('net.py')
    argv = arguments('--iterations', '10', '--init', 'scratch', '--modes', 'frozen')
    assert tool.main(argv) == 2
    assert 'AlexNet has not' in capsys.readouterr().err


def test_runs_survives_goes_on_and_reports(tool, folder, capsys, monkeypatch):
    argv = arguments(
        '--iterations', '2', '--evaluations', '2', '--fractions', '1', '--seeds', '0'
    )
    # one cell cannot be run
    real = tool.command_of

    def command_of(path, args):
        if path.stem.startswith('hsjp'):
            return ['python', '-c', 'raise MemoryError("broken")']
        return real(path, args)

    monkeypatch.setattr(tool, 'command_of', command_of)
    assert tool.main(argv) == 1
    out, err = capsys.readouterr()
    assert '2 runs, 0 of them done' in out
    assert 'hsjp_100pct_seed0: FAILED with status 1: MemoryError: broken' in out
    assert '1 runs failed: hsjp_100pct_seed0' in err
    scratch = folder / 'study' / 'a' / 'results' / 'scratch_100pct_seed0.json'
    first = scratch.read_bytes()
    result = json.loads(first)
    assert result['seed'] == 0
    assert result['iterations'] == 2
    assert result['images'] == 4
    assert [point['iter'] for point in result['curve']] == [1, 2]
    assert result['metrics']['coco/AP'] == result['curve'][-1]['coco/AP']
    assert result['info']['purpose'] == 'choose'
    assert not list((folder / 'study' / 'a' / 'runs').rglob('*.pth'))

    monkeypatch.setattr(tool, 'command_of', real)
    with open('study/a/runs/hsjp_100pct_seed0/lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert tool.main(argv) == 1
        out, err = capsys.readouterr()
        assert 'hsjp_100pct_seed0: left to another' in out
        assert '1 runs are left to other processes' in err
    assert tool.main(argv) == 0
    assert '2 runs, 1 of them done' in capsys.readouterr().out
    assert scratch.read_bytes() == first
    hsjp = scratch.with_name('hsjp_100pct_seed0.json')
    assert json.loads(hsjp.read_text())['info']['checkpoint']['file'] == 'pre.pth'

    # all done: no process is started
    monkeypatch.setattr(tool.subprocess, 'Popen', None)
    assert tool.main(argv) == 0
    assert '2 runs, 2 of them done' in capsys.readouterr().out

    assert tool.main(['report', 'study/a/results', '--metric', 'pck@0.2/PCK']) == 0
    assert 'Runs to choose hyper-parameters by, not a result' in capsys.readouterr().out
    for name in ('table.md', 'table.csv', 'plot.png'):
        assert (folder / 'study' / 'a' / name).stat().st_size

    # what could not be compared is another study
    for more in (
        ('--cfg-options', 'train_dataloader.batch_size=3'),
        ('--iterations', '3'),
        ('--stratify', 'num_keypoints'),
    ):
        assert tool.main([*argv, *more, '--seeds', '5']) == 2
        assert 'study/a has runs of another config' in capsys.readouterr().err
    # other annotations make results stale
    annotations = folder / 'data/synthetic/annotations/person_keypoints_train.json'
    before = annotations.read_bytes()
    annotations.write_bytes(before + b' ')
    assert tool.main(argv) == 2
    assert 'scratch_100pct_seed0.json' in capsys.readouterr().err
    annotations.write_bytes(before)
    # and so do other weights under the same name
    content = torch.load('pre.pth', weights_only=False)
    content['state_dict']['backbone.conv1.weight'] += 1
    os.remove('pre.pth')
    torch.save(content, 'pre.pth')
    assert tool.main(argv) == 2
    error = capsys.readouterr().err
    assert 'hsjp_100pct_seed0.json' in error
    assert 'scratch_100pct_seed0.json' not in error


def test_lock_outlives_a_tool_that_was_killed(tool, folder):
    """And SIGTERM and SIGHUP stop the training and its workers, too.

    Popen is slow here, so that the signals arrive while the run starts.
    """
    script = folder / 'tool.py'
    script.write_text(
        'import signal, subprocess, sys, time\n'
        f'sys.path.insert(0, {str(Path(tool.__file__).parent)!r})\n'
        'import label_efficiency as tool\n'
        'signal.signal(signal.SIGHUP, signal.SIG_DFL)\n'  # pytest under nohup
        # a run and a worker of its data loader
        "code = 'sleep 60.125 & touch started; wait'\n"
        "tool.command_of = lambda *_: ['bash', '-c', code]\n"
        'class Popen(subprocess.Popen):\n'
        '    def __init__(self, *args, **kwargs):\n'
        '        super().__init__(*args, **kwargs)\n'
        "        time.sleep(kwargs.get('start_new_session', 0))\n"
        'subprocess.Popen = Popen\n'
        'sys.exit(tool.main())\n'
    )
    argv = arguments('--iterations', '2', '--fractions', '1', '--seeds', '0')
    argv.remove('hsjp=pre.pth')
    lock = folder / 'study/a/runs/scratch_100pct_seed0/lock'

    def locked():
        with lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    for how, status in (
        (signal.SIGTERM, 130),
        (signal.SIGHUP, 130),
        (signal.SIGKILL, -signal.SIGKILL),
    ):
        process = subprocess.Popen([sys.executable, str(script), *argv])
        while not Path('started').exists():
            assert process.poll() is None
            time.sleep(0.1)
        Path('started').unlink()
        assert locked()
        (child,) = _children(process.pid)
        os.kill(process.pid, how)
        assert process.wait() == status
        for _ in range(50):
            if locked() == (how == signal.SIGKILL):
                break
            time.sleep(0.1)
        assert locked() == (how == signal.SIGKILL)
    os.killpg(child, signal.SIGTERM)


def _children(pid):
    while True:
        threads = Path(f'/proc/{pid}/task').iterdir()
        found = [c for t in threads for c in (t / 'children').read_text().split()]
        if found:
            return [int(child) for child in found]
        time.sleep(0.1)


def test_poses_in_3d(tool, folder):
    name = 'integral-pose3d_res18-half_1xb16-12e_synthetic-64x64'
    cfg = Config.fromfile(ROOT / 'configs' / 'synthetic' / f'{name}.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    cfg.dump(folder / 'net.py')
    command = ['run', 'net.py', '--study', 'study/a', '--init', 'hsjp=pre.pth']
    command += ['--fractions', '0.5', '--iterations', '1', '--purpose', 'choose']
    assert tool.main([*command, '--seeds', '0']) == 0
    file = folder / 'study' / 'a' / 'results' / 'hsjp_50pct_seed0.json'
    assert json.loads(file.read_text())['metrics']['pose3d/MPJPE'] > 0


def test_does_not_resume_a_run_of_another_config(tool, folder, capsys):
    argv = arguments(
        '--iterations', '2', '--fractions', '1', '--seeds', '0', '--print-commands'
    )
    assert tool.main(argv) == 0
    # as MMEngine leaves a run that was interrupted
    run = folder / 'study' / 'a' / 'runs' / 'hsjp_100pct_seed0'
    run.mkdir(parents=True)
    config = folder / 'study' / 'a' / 'configs' / f'{run.name}.py'
    (run / config.name).write_text(config.read_text())
    (run / 'last_checkpoint').write_text('iter_1.pth')
    assert tool.main(argv) == 0
    capsys.readouterr()
    changed = ['--evaluations', '1']
    assert tool.main([*argv, *changed]) == 2
    error = capsys.readouterr().err
    assert 'unfinished runs are of another config' in error
    assert error.strip().endswith(str(run))
    (run / 'last_checkpoint').unlink()
    assert tool.main([*argv, *changed]) == 0


def test_prints_commands(tool, folder, capsys):
    argv = arguments(
        '--iterations', '2', '--fractions', '1', '--seeds', '0', '--print-commands'
    )
    assert tool.main([*argv, '--launcher', 'mim']) == 0
    line = capsys.readouterr().out.splitlines()[1]
    config = 'study/a/configs/scratch_100pct_seed0.py'
    assert line == f'mim train mmpose {config} --gpus 1 --launcher none'
    assert Config.fromfile(config).train_cfg.max_iters == 2
    assert tool.main([*argv, '--launcher', 'mim', '--gpus-per-run', '4']) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.endswith('--gpus 4 --launcher pytorch')
    assert tool.main([*argv, '--launcher', 'slurm', '--gpus-per-run', '16']) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.endswith(
        '--gpus 16 --gpus-per-node 8 --launcher slurm --partition debug'
    )


def test_cpu_hides_the_gpus(tool, folder, capsys):
    """MMPose's train.py takes a GPU if it sees one, and knows no --gpus."""
    argv = arguments('--iterations', '2', '--print-commands', '--launcher', 'mim')
    assert tool.main([*argv, '--gpus-per-run', '0']) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith('env CUDA_VISIBLE_DEVICES= mim train mmpose study/a/')
    assert line.endswith('--gpus 0 --launcher none')


def test_seeds_of_a_row_share_their_start(tool, folder, capsys):
    """Of one file, and of one further length of equal compute."""
    options = '--iterations', '2', '--fractions', '1', '--print-commands'
    equal = '--equal-compute', '5'
    for cfg in planned(tool, *options, *equal, '--seeds', '0').values():
        hook = cfg.custom_hooks[-1]
        out = Path(hook['out_file'])
        out.parent.mkdir(parents=True, exist_ok=True)
        done = dict(info=hook['info'], seed=0, iterations=cfg.train_cfg.max_iters)
        out.write_text(json.dumps(done))
    planned(tool, *options, *equal, '--seeds', '1')
    argv = arguments(*options, '--equal-compute', '6', '--seeds', '1')
    assert tool.main(argv) == 2
    error = capsys.readouterr().err
    assert 'the run scratch-equal-compute_100pct_seed1 has 6 iterations bey' in error
    assert 'scratch-equal-compute_100pct_seed0.json has 5 iterations bey' in error
    content = torch.load('pre.pth', weights_only=False)
    content['state_dict']['backbone.conv1.weight'] += 1
    os.remove('pre.pth')
    torch.save(content, 'pre.pth')
    assert tool.main(arguments(*options, '--seeds', '1')) == 2
    error = capsys.readouterr().err
    assert 'the run hsjp_100pct_seed1 has the weights ' in error
    planned(tool, *options, '--seeds', '1', '--init', 'scratch')
    # unless it is said that each seed has its own
    os.rename('pre.pth', 'pre-1.pth')
    own = '--seeds', '1', '--init', 'hsjp=pre-{seed}.pth'
    (cell, cfg), *_ = planned(tool, *options, *own).items()
    assert cell.init.checkpoint == 'pre-1.pth'
    assert cfg.model.backbone.init_cfg.checkpoint == os.path.abspath('pre-1.pth')
    assert tool.main(arguments(*options, *own, '--seeds', '1', '2')) == 2
    assert 'there is no file pre-2.pth' in capsys.readouterr().err


def test_does_not_report_where_it_chose(tool, folder, capsys):
    more = ['--iterations', '2', '--fractions', '1', '--seeds', '0', '--print-commands']
    assert tool.main(arguments(*more)) == 0
    report = arguments(*more, '--purpose', 'report', '--study', 'study/b')
    assert tool.main(report) == 0  # on another set
    configs = tool.plan(tool.parse_args(report))
    hook = next(iter(configs.values())).custom_hooks[-1]
    assert hook['info']['evaluated_on'][0]['file'].endswith('test.json')
    capsys.readouterr()

    same = 'test_dataloader.dataset.ann_file=annotations/person_keypoints_val.json'
    report[report.index('study/b')] = 'study/c'
    assert tool.main([*report, '--cfg-options', same]) == 2
    assert 'was used to choose hyper-parameters' in capsys.readouterr().err
    # the same content under another name is the same set
    annotations = folder / 'data' / 'synthetic' / 'annotations'
    val = annotations / 'person_keypoints_val.json'
    (annotations / 'copy.json').write_bytes(val.read_bytes())
    copied = 'test_dataloader.dataset.ann_file=annotations/copy.json'
    assert tool.main([*report, '--cfg-options', copied]) == 2
    assert 'was used to choose' in capsys.readouterr().err
    # and so are the same images in another file
    content = json.loads(val.read_text())
    content['images'] += json.loads((annotations / 'test.json').read_text())['images']
    (annotations / 'more.json').write_text(json.dumps(content))
    more_images = 'test_dataloader.dataset.ann_file=annotations/more.json'
    assert tool.main([*report, '--cfg-options', more_images]) == 2
    shared = len(content['images']) - 1
    error = capsys.readouterr().err
    assert f'more.json: {shared} of its images were used to choose' in error
    # a study elsewhere must be named
    report[report.index('study/c')] = 'elsewhere/c'
    named = [*report, '--chosen-in', 'study/a', '--cfg-options', same]
    assert tool.main(named) == 2
    assert 'was used to choose' in capsys.readouterr().err
    assert tool.main([*named, '--allow-selected-split']) == 0
    configs = tool.plan(tool.parse_args([*named, '--allow-selected-split']))
    hook = next(iter(configs.values())).custom_hooks[-1]
    assert hook['info']['selected_split'] is True
    # a study has one purpose
    assert tool.main(arguments(*more, '--purpose', 'report')) == 2
    assert 'is for --purpose choose' in capsys.readouterr().err


def test_environment_shares_the_machine(tool, monkeypatch):
    args = Namespace(launcher='none', jobs=2, gpus_per_run=None)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    monkeypatch.setattr(tool.os, 'sched_getaffinity', lambda pid: set(range(8)))
    assert tool.environment(0, args)['OMP_NUM_THREADS'] == '4'
    monkeypatch.setattr(tool.torch.cuda, 'device_count', lambda: 2)
    assert tool.environment(0, args)['CUDA_VISIBLE_DEVICES'] == '0'
    assert tool.environment(1, args)['CUDA_VISIBLE_DEVICES'] == '1'
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '5,7')
    assert tool.environment(1, args)['CUDA_VISIBLE_DEVICES'] == '7'


def result(init, fraction, seed, value, **info):
    return dict(
        info=dict(
            dict(
                config='net',
                init=init,
                mode='full',
                fraction=fraction,
                checkpoint=None,
                evaluated_on=[dict(file='data/test.json', sha256='0')],
                purpose='report',
                selected_split=False,
            ),
            **info,
        ),
        metrics={'pck/PCK': value},
        seed=seed,
        iterations=10,
        images=100,
    )


RUNS = [
    *(result('scratch', 0.1, s, v) for s, v in enumerate((0.30, 0.34, 0.32))),
    *(result('hsjp', 0.1, s, v) for s, v in enumerate((0.35, 0.38, 0.40))),
    result('hsjp', 1.0, 0, 0.6),
]


def test_table_by_hand(tool):
    summary = tool.results.summarize(RUNS, 'pck/PCK')
    lines = tool.results.study_table(summary).splitlines()
    assert lines[0].startswith('pck/PCK, in %, of `net` on test.json after the last')
    assert lines[0].endswith('of 1 or 3 seeds.')
    assert '| scratch | 32.0 ± 2.0 | - |' in lines
    assert '| hsjp | 37.7 ± 2.5 | 60.0 (n = 1) |' in lines
    # differences 5, 4, 8: mean 5.667, sd 2.0817, t(0.975, 2) = 4.3027
    assert '| hsjp | +5.7 [+0.5, +10.8] | - |' in lines
    rows = list(csv.reader(io.StringIO(tool.results.study_csv(summary))))
    assert rows[0] == ['init', 'mode', 'fraction', 'seed', 'images', 'pck/PCK']
    assert rows[1] == ['scratch', 'full', '0.1', '0', '100', '30.0']
    assert len(rows) == 1 + len(RUNS)


def test_pairs_only_common_seeds(tool):
    runs = [*RUNS[:2], *RUNS[3:6]]
    summary = tool.results.summarize(runs, 'pck/PCK')
    cell = summary['rows'][1]['cells'][0.1]
    assert cell['pairs'] == 2
    assert cell['difference'] == pytest.approx(4.5)
    millimetres = copy.deepcopy(runs)
    for run in millimetres:
        run['metrics']['pck/PCK'] *= 200
    summary = tool.results.summarize(millimetres, 'pck/PCK')
    assert summary['unit'] == ''
    assert summary['rows'][0]['cells'][0.1]['mean'] == pytest.approx(64)


def test_intervals(tool):
    values = np.random.default_rng(0).normal(1, 2, 200)
    low, high = tool.results.paired_interval(values, 't')
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.972 * values.std(ddof=1) / 200**0.5, 1e-3)
    assert tool.results.paired_interval(values, 'bootstrap') == pytest.approx(
        (low, high), abs=0.03
    )
    assert tool.results.paired_interval([1.0]) is None


def test_report_refusals(tool, tmp_path, capsys):
    def main(*more):
        assert tool.main(['report', str(tmp_path), *more]) == 2
        return capsys.readouterr().err

    assert 'holds no json file' in main()
    for number, run in enumerate(RUNS):
        (tmp_path / f'{number}.json').write_text(json.dumps(run))
    assert "no metric 'x/y', but pck/PCK" in main('--metric', 'x/y')
    assert "baseline 'none'" in main('--baseline', 'none')
    early = result('hsjp', 0.1, 9, 0.5, recipe_sha256='a')
    (tmp_path / '9.json').write_text(json.dumps(early))
    assert tool.main(['report', str(tmp_path)]) == 0
    for other in (
        result('hsjp', 0.1, 9, 0.5, purpose='choose'),
        result('hsjp', 0.1, 0, 0.5) | dict(iterations=20),
    ):
        (tmp_path / '9.json').write_text(json.dumps(other))
        assert 'cannot share a table' in main()
    for name in ('scratch-equal-compute', 'scratch-equal-compute-24e'):
        longer = result(name, 0.1, 0, 0.5) | dict(iterations=20)
        (tmp_path / '9.json').write_text(json.dumps(longer))
        assert tool.main(['report', str(tmp_path)]) == 0
    longer = result(name, 0.1, 1, 0.5) | dict(iterations=21)
    (tmp_path / '91.json').write_text(json.dumps(longer))
    assert 'has 11 iterations beyond the others, but' in main()
    start = dict(file='a.pth', sha256='a' * 64, deconv=False)
    for number, deconv in enumerate((False, True)):
        run = result('x', 0.1, number, 0.5, checkpoint=start | dict(deconv=deconv))
        (tmp_path / f'9{number}.json').write_text(json.dumps(run))
    assert 'has the weights aaaaaaaaaaaa, deconv=True, but' in main()
    run['info']['checkpoint']['per_seed'] = True
    (tmp_path / f'9{number}.json').write_text(json.dumps(run))
    assert tool.main(['report', str(tmp_path)]) == 0
    other = result('x', 0.2, number, 0.5, checkpoint=start | dict(sha256='b' * 64))
    (tmp_path / '92.json').write_text(json.dumps(other))
    assert 'has the weights bbbbbbbbbbbb, deconv=False, but' in main()
    (tmp_path / '92.json').unlink()
    for number in range(2):
        (tmp_path / f'9{number}.json').unlink()
    (tmp_path / '9.json').write_text('{}')
    assert '9.json is no result of label_efficiency.py' in main()


def test_readme_block(tool, tmp_path):
    folder = tmp_path / 'results' / 'study'
    folder.mkdir(parents=True)
    for number, run in enumerate(RUNS):
        (folder / f'{number}.json').write_text(json.dumps(run))
    readme = tmp_path / 'README.md'
    readme.write_text(
        'a\n<!-- study: results/study pck/PCK -->\nold\n<!-- end of study -->\nb\n'
        '<!-- differences: results/study pck/PCK hsjp -->\nold\n'
        '<!-- end of differences -->\nc\n'
    )
    assert tool.results.main(['tables', str(readme)]) == 0
    text = readme.read_text()
    assert '| hsjp | 37.7 ± 2.5 | 60.0 (n = 1) |' in text
    assert 'old' not in text
    assert text.startswith('a\n<!-- study: ')
    assert '<!-- end of study -->\nb\n<!-- differences: ' in text
    # those of test_table_by_hand, the other way round
    assert 'Difference to hsjp, paired by seed' in text
    assert '| scratch | -5.7 [-10.8, -0.5] | - |' in text
    assert text.endswith('<!-- end of differences -->\nc\n')
    plot = tmp_path / 'results' / 'study_pck-PCK.png'
    assert plot.is_file()
    summary = tool.results.summarize(RUNS, 'pck/PCK')
    assert tool.results.plot_is_current(summary, plot)
    assert tool.results.fill_tables(readme) == text
    # and with another result it is not current any more
    summary = tool.results.summarize(RUNS[:-1], 'pck/PCK')
    assert not tool.results.plot_is_current(summary, plot)
