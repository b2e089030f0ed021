"""The result file of a run, also of one that was interrupted."""

import json
import multiprocessing
import subprocess
import uuid
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.runner import Runner
from seeded_run import Net, Noisy

from mmpose_pretext.engine import RunResultHook
from mmpose_pretext.engine.run_result_hook import git_state, write_json


class Bias(BaseMetric):
    """The bias of the network's last layer, as a metric that training changes."""

    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        return dict(bias=results[-1], samples=len(results))


class Predicting(Net):
    """The network with a prediction for the metric."""

    def forward(self, inputs, targets, mode='tensor'):
        if mode == 'predict':
            return [self.head.bias.item()] * len(inputs)
        return super().forward(inputs, targets, mode)


class Stopped(Exception):
    pass


class Stop(Hook):
    """Interrupt the run, as a signal would."""

    priority = 'LOWEST'

    def __init__(self, after_iter=None, in_validation=None):
        self.after_iter, self.in_validation = after_iter, in_validation

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.after_iter:
            raise Stopped

    def before_val(self, runner):
        if runner.iter == self.in_validation:
            raise Stopped


@pytest.fixture
def run(tmp_path):
    out = tmp_path / 'results' / 'run.json'

    def start(name='run', stop=None, resume=False):
        hooks = [RunResultHook(str(out), info=dict(init='scratch'))]
        if stop is not None:
            hooks.append(stop)
        loader = dict(
            dataset=Noisy(),
            batch_size=3,
            num_workers=0,
            collate_fn=dict(type='default_collate'),
        )
        torch.manual_seed(0)
        runner = Runner(
            model=Predicting(),
            work_dir=str(tmp_path / name),
            train_dataloader=dict(
                loader, sampler=dict(type='InfiniteSampler', shuffle=True)
            ),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=6, val_interval=2),
            val_dataloader=dict(
                loader, sampler=dict(type='DefaultSampler', shuffle=False)
            ),
            val_cfg=dict(),
            val_evaluator=dict(type=Bias),
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.01)),
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False)
            ),
            custom_hooks=hooks,
            log_processor=dict(by_epoch=False),
            randomness=dict(seed=7),
            resume=resume,
            experiment_name=uuid.uuid4().hex,
        )
        runner.train()
        return runner

    start.out = out
    return start


def test_result(run):
    runner = run()
    result = json.loads(run.out.read_text())
    assert result['info'] == dict(init='scratch')
    assert result['seed'] == 7
    assert result['iterations'] == 6
    assert result['images'] == 18
    assert result['metrics'] == dict(
        bias=pytest.approx(runner.model.head.bias.item()), samples=12
    )
    curve = result['curve']
    assert [point['iter'] for point in curve] == [2, 4, 6]
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    means = np.reshape(losses, (3, 2)).mean(axis=1)
    assert [point['loss'] for point in curve] == pytest.approx(means, abs=1e-5)
    assert curve[-1]['bias'] == result['metrics']['bias']
    # Of six tiny steps: tenths of seconds would round to 0.
    assert 0 < result['train_seconds'] <= result['wall_seconds']
    assert result['versions']['mmpose_pretext']
    assert [path.name for path in run.out.parent.iterdir()] == ['run.json']


@pytest.mark.parametrize(
    'stop',
    [
        Stop(after_iter=5),
        Stop(in_validation=4),
        Stop(in_validation=6),  # nothing is left to train when it is resumed
    ],
)
def test_interrupted_run_has_the_whole_curve(run, stop):
    with pytest.raises(Stopped):
        run(stop=stop)
    assert not run.out.exists()
    run(resume=True)
    result = json.loads(run.out.read_text())
    iterations = [point['iter'] for point in result['curve']]
    assert iterations == ([2, 6] if stop.in_validation == 4 else [2, 4, 6])
    assert result['iterations'] == 6
    assert result['metrics']['samples'] == 12


def test_curve_of_another_run_is_not_taken_up(run):
    write_json(run.out.with_name('run.json.curve'), [dict(iter=2, bias=5.0)])
    run()
    curve = json.loads(run.out.read_text())['curve']
    assert [point['iter'] for point in curve] == [2, 4, 6]
    assert curve[0]['bias'] != 5


def _write_often(path, value):
    for _ in range(200):
        write_json(path, [value] * 50)


def test_processes_write_one_file(tmp_path):
    path = tmp_path / 'a.json'
    with ProcessPoolExecutor(2, multiprocessing.get_context('fork')) as pool:
        for future in [pool.submit(_write_often, path, value) for value in (1, 2)]:
            future.result()
    assert json.loads(path.read_text()) in ([1] * 50, [2] * 50)
    assert [file.name for file in tmp_path.iterdir()] == ['a.json']


def test_git_state(tmp_path):
    assert git_state(tmp_path) is None
    assert git_state(tmp_path / 'missing') is None

    def git(*args):
        names = ('-c', 'user.name=a', '-c', 'user.email=a@b')
        subprocess.run(['git', *names, *args], cwd=tmp_path, check=True)

    git('init', '-q')
    (tmp_path / 'a').write_text('1')
    git('add', 'a')
    git('commit', '-qm', 'a')
    clean = git_state(tmp_path)
    assert len(clean) >= 7
    (tmp_path / 'a').write_text('2')
    assert git_state(tmp_path) == f'{clean}-dirty'
