import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from seeded_run import SEED_HOOK, Recorder, build

SCRIPT = Path(__file__).with_name('seeded_run.py')


def train(work_dir, **kwargs):
    recorder = Recorder()
    runner = build(work_dir, hooks=[SEED_HOOK, recorder], **kwargs)
    runner.train()
    return runner, recorder


def state(runner):
    """Everything that training leaves behind, as one flat dict of tensors."""
    tensors = dict(runner.model.state_dict())
    for index, slot in runner.optim_wrapper.state_dict()['state'].items():
        tensors.update({f'{index}.{k}': v for k, v in slot.items()})
    return tensors


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@pytest.fixture(scope='module')
def killed(tmp_path_factory):
    """Work dirs of two runs that died by SIGKILL in the middle of epoch 3."""
    runs = {n: tmp_path_factory.mktemp(f'workers{n}') for n in (0, 2)}
    env = dict(os.environ, PYTHONPATH=str(SCRIPT.parents[2]))
    processes = [
        subprocess.Popen([sys.executable, SCRIPT, work_dir, str(n)], env=env)
        for n, work_dir in runs.items()
    ]
    assert [process.wait(timeout=120) for process in processes] == [-9, -9]
    return runs


@pytest.mark.parametrize('num_workers', [0, 2])
def test_killed_run_resumes_to_the_same_end(killed, tmp_path, num_workers):
    work_dir = killed[num_workers]
    assert (work_dir / 'last_checkpoint').read_text().endswith('epoch_2.pth')

    whole, record = train(tmp_path, num_workers=num_workers)
    resumed, rest = train(work_dir, num_workers=num_workers, resume=True)

    assert len(record.losses) == 16
    assert rest.inputs == record.inputs[8:]
    assert rest.losses == record.losses[8:]
    assert_equal(state(resumed), state(whole))


def test_same_seed_same_run(tmp_path):
    one, first = train(tmp_path / 'a', epochs=2)
    two, second = train(tmp_path / 'b', epochs=2)
    assert first.losses == second.losses
    assert_equal(state(one), state(two))
    _, third = train(tmp_path / 'c', epochs=2, randomness=dict(seed=8))
    assert third.inputs != first.inputs


class Constant:
    """A dataset that shows nothing but the generators of its process."""

    metainfo = {}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        draw = np.random.rand()  # noqa: NPY002
        return dict(inputs=torch.full((3, 4, 4), draw), targets=torch.zeros(1))


@pytest.mark.parametrize('hooks', [[], [SEED_HOOK]], ids=['stock', 'seeded'])
def test_epochs_and_workers_differ(tmp_path, hooks):
    recorder = Recorder()
    loader = dict(dataset=Constant(), batch_size=1)
    build(tmp_path, 2, [*hooks, recorder], epochs=3, loader=loader).train()
    # 3 epochs of 4 samples; MMEngine alone repeats the first epoch.
    assert len(set(recorder.inputs)) == (12 if hooks else 4)


def test_own_worker_init_fn_is_called(tmp_path):
    calls = tmp_path / 'calls'
    calls.mkdir()

    def touch(worker_id):
        (calls / str(worker_id)).touch()

    loader = dict(worker_init_fn=dict(type=touch))
    train(tmp_path, num_workers=2, epochs=1, loader=loader)
    assert sorted(path.name for path in calls.iterdir()) == ['0', '1']


def test_ranks_differ(tmp_path, monkeypatch):
    _, first = train(tmp_path / 'a', epochs=1)
    monkeypatch.setattr('mmpose_pretext.engine.epoch_seed_hook.get_rank', lambda: 1)
    _, second = train(tmp_path / 'b', epochs=1)
    assert first.inputs != second.inputs


@pytest.mark.parametrize(
    ('changes', 'wanted'),
    [
        (dict(), []),
        (
            dict(num_workers=1, loader=dict(persistent_workers=True)),
            ['train_dataloader.persistent_workers=False'],
        ),
        (dict(randomness=dict(seed=None)), ['randomness=dict(seed=...)']),
    ],
    ids=['all set', 'persistent', 'unseeded'],
)
def test_warns_once_where_a_run_cannot_repeat(tmp_path, monkeypatch, changes, wanted):
    warnings = []
    monkeypatch.setattr(
        MMLogger, 'warning', lambda self, text, *args: warnings.append(text)
    )
    train(tmp_path, epochs=2, **changes)
    ours = [text for text in warnings if 'EpochSeedHook' in str(text)]
    assert len(ours) == len(wanted)
    for text, words in zip(ours, wanted, strict=True):
        assert words in text


def test_refuses_training_by_iterations(tmp_path):
    with pytest.raises(TypeError, match='by epochs.*IterBasedTrainLoop'):
        train(tmp_path, train_cfg=dict(by_epoch=False, max_iters=2))
