import subprocess

import pytest
import torch
from tiny_run import CONFIG, ROOT, load_tool, write_config


@pytest.fixture
def train(monkeypatch):
    return load_tool(monkeypatch, 'train').main


@pytest.fixture
def refused(train, capsys):
    """Return the one line that is printed when arguments are refused."""

    def run(*argv):
        with pytest.raises(SystemExit) as error:
            train([str(CONFIG), *argv])
        assert error.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith('train.py: error: ')
        return lines[0]

    return run


def test_trains_and_resumes(train, tmp_path, monkeypatch):
    config = write_config(tmp_path)
    monkeypatch.chdir(tmp_path)
    train([str(config), '--cfg-options', 'randomness.seed=1'])
    # the default work_dir
    first = torch.load(tmp_path / 'work_dirs' / 'tiny' / 'epoch_1.pth')
    assert first['meta']['epoch'] == 1
    assert first['meta']['seed'] == 1

    argv = ['--work-dir', 'other', '--resume', 'work_dirs/tiny/epoch_1.pth']
    train(
        [str(config), *argv, '--no-validate', '--cfg-options', 'train_cfg.max_epochs=2']
    )
    second = torch.load(tmp_path / 'other' / 'epoch_2.pth')
    assert second['meta']['epoch'] == 2
    assert second['meta']['iter'] == 2 * first['meta']['iter']


def test_missing_data_is_one_line(train, tmp_path):
    argv = ['hsjp_res50_8xb64-210e_coco-256x192', '--work-dir', str(tmp_path)]
    root = f'train_dataloader.dataset.data_root={tmp_path}'
    with pytest.raises(SystemExit, match=f'train.py: error: .*{tmp_path}.*train2017'):
        train([*argv, '--cfg-options', root])


def test_unknown_config(train, capsys):
    with pytest.raises(SystemExit) as error:
        train(['hsjp_res5_8xb64-210e_coco-256x192.py'])
    assert error.value.code == 2
    message = capsys.readouterr().err
    assert 'neither a file nor the name of a config' in message
    assert 'did you mean hsjp_res50_8xb64-210e_coco-256x192 or' in message


def test_missing_checkpoint(refused):
    assert "checkpoint 'nothing.pth' is not a file" in refused(
        '--resume', 'nothing.pth'
    )


@pytest.mark.parametrize(
    ('key', 'suggestion'),
    [
        ('optim_wraper.optimizer.lr', 'optim_wrapper.optimizer.lr'),
        ('default_hooks.logger.intervall', 'default_hooks.logger.interval'),
        # variables of a config, whose values the Runner does not read
        ('codec.sigma', 'model.head.decoder.sigma'),
        ('data_root', 'train_dataloader.dataset.data_root'),
        # an index beyond the end of a list
        ('train_dataloader.dataset.pipeline.9.type', 'dataset.pipeline.6.type'),
    ],
)
def test_unknown_config_option(refused, key, suggestion):
    message = refused('--cfg-options', f'{key}=1')
    assert f"unknown config option '{key}'; did you mean" in message
    assert suggestion in message
    assert f'+{key}=VALUE' in message


def test_unknown_config_option_without_a_match(refused):
    message = refused('--cfg-options', 'model.frozen_stages=1')
    assert "unknown config option 'model.frozen_stages'. Nothing" in message


def test_option_that_is_no_pair(refused):
    assert '--cfg-options takes KEY=VALUE pairs' in refused('--cfg-options', 'lr')


def test_added_config_option(train, tmp_path, monkeypatch):
    """A plus adds a key: the Runner then sees it, without the plus."""
    config = write_config(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match='unexpected keyword argument .frozen'):
        train([str(config), '--cfg-options', '+model.backbone.frozen=1'])


def test_unknown_argument(train, capsys):
    with pytest.raises(SystemExit) as error:
        train([str(CONFIG), '--resum-from', 'x'])
    assert error.value.code == 2
    assert 'unrecognized arguments: --resum-from' in capsys.readouterr().err


def test_help(train, capsys):
    with pytest.raises(SystemExit) as error:
        train(['--help'])
    assert error.value.code == 0
    message = capsys.readouterr().out
    assert 'the name of a config of mmpose_pretext' in message
    assert '--auto-scale-lr' in message
    assert '--gpus' not in message  # MIM would then pass it


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Return what a launcher would run, one word an item."""
    for name in ('python', 'srun'):
        script = tmp_path / name
        script.write_text('#!/bin/sh\nprintf "%s\\n" "${0##*/}" "$@"\n')
        script.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=':')

    def run(launcher, *argv):
        done = subprocess.run(
            ['bash', ROOT / 'tools' / launcher, *argv], capture_output=True, text=True
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


def test_dist_train(command, monkeypatch):
    monkeypatch.setenv('NNODES', '2')
    monkeypatch.setenv('PORT', '1234')
    code, words, _ = command('dist_train.sh', 'a b.py', '8', '--work-dir', 'c d')
    assert code == 0
    assert words[:3] == ['python', '-m', 'torch.distributed.run']
    assert {'--nnodes=2', '--nproc-per-node=8', '--master-port=1234'} < set(words)
    script = words.index(str(ROOT / 'tools' / 'train.py'))
    assert words[script + 1 :] == [
        'a b.py',
        '--launcher',
        'pytorch',
        '--work-dir',
        'c d',
    ]


def test_slurm_train(command, monkeypatch):
    monkeypatch.setenv('GPUS', '16')
    monkeypatch.setenv('SRUN_ARGS', '--quotatype=auto --exclusive')
    code, words, _ = command('slurm_train.sh', 'gpu', 'job', 'a b.py', 'dir', '--amp')
    assert code == 0
    assert words[:3] == ['srun', '--partition=gpu', '--job-name=job']
    assert {'--ntasks=16', '--gres=gpu:8', '--quotatype=auto', '--exclusive'} < set(
        words
    )
    assert words[words.index(str(ROOT / 'tools' / 'train.py')) + 1 :] == [
        *('a b.py', '--work-dir', 'dir', '--launcher', 'slurm', '--amp')
    ]


@pytest.mark.parametrize('launcher', ['dist_train.sh', 'slurm_train.sh'])
def test_launcher_usage(command, launcher):
    code, _, message = command(launcher, 'a.py')
    assert code == 2
    assert message.startswith('usage: bash ')
