import pickle
import subprocess

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from tiny_run import CONFIG, ROOT, load_tool, write_config


@pytest.fixture
def run_test(monkeypatch):
    return load_tool(monkeypatch, 'test').main


def test_tests_a_checkpoint(run_test, tmp_path, monkeypatch):
    config = write_config(tmp_path)
    init_default_scope('mmpose')
    model = MODELS.build(Config.fromfile(config).model)
    checkpoint = tmp_path / 'epoch_1.pth'
    # the message hub of a Runner holds what torch >= 2.6 refuses to read
    torch.save(
        dict(
            state_dict=model.state_dict(),
            message_hub=dict(log_scalars=dict(loss=HistoryBuffer([1.0], [1]))),
        ),
        checkpoint,
    )
    monkeypatch.chdir(tmp_path)
    run_test([str(config), str(checkpoint), '--dump', 'out.pkl', '--out', 'out.json'])
    with open('out.pkl', 'rb') as f:
        assert len(pickle.load(f)) == 4  # an answer an image
    assert 'jigsaw/cell_accuracy' in (tmp_path / 'out.json').read_text()


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['nothing.py', 'a.pth'], "config 'nothing.py' is neither a file nor"),
        ([str(CONFIG), 'nothing.pth'], "checkpoint 'nothing.pth' is not a file"),
        (
            [str(CONFIG), __file__, '--cfg-options', 'test_dataloader.batchsize=1'],
            "unknown config option 'test_dataloader.batchsize'; did you mean "
            'test_dataloader.batch_size',
        ),
    ],
)
def test_wrong_arguments(run_test, capsys, argv, message):
    with pytest.raises(SystemExit) as error:
        run_test(argv)
    assert error.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f'test.py: error: {message}')
    assert printed.count('\n') == 1


def test_mmpose_without_tools(run_test, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr('mmpose.__file__', str(tmp_path / 'mmpose' / '__init__.py'))
    with pytest.raises(FileNotFoundError, match="MMPose's test.py is in neither"):
        run_test([str(CONFIG), 'a.pth'])


@pytest.mark.parametrize(
    ('launcher', 'argv', 'runner', 'passed'),
    [
        (
            'dist_test.sh',
            ['a b.py', 'c.pth', '8', '--dump', 'd e.pkl'],
            ['python', '-m', 'torch.distributed.run'],
            ['a b.py', 'c.pth', '--launcher', 'pytorch', '--dump', 'd e.pkl'],
        ),
        (
            'slurm_test.sh',
            ['gpu', 'job', 'a b.py', 'c.pth', '--dump', 'd e.pkl'],
            ['srun', '--partition=gpu', '--job-name=job'],
            ['a b.py', 'c.pth', '--launcher', 'slurm', '--dump', 'd e.pkl'],
        ),
    ],
)
def test_launchers(tmp_path, monkeypatch, launcher, argv, runner, passed):
    for name in ('python', 'srun'):
        (tmp_path / name).write_text('#!/bin/sh\nprintf "%s\\n" "${0##*/}" "$@"\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=':')
    command = ['bash', str(ROOT / 'tools' / launcher)]
    words = subprocess.run(
        command + argv, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert words[:3] == runner
    assert words[words.index(str(ROOT / 'tools' / 'test.py')) + 1 :] == passed

    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.startswith('usage: bash ')
