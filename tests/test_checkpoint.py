import builtins
import io
import os
import pickle
import re
import runpy
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as stock

from mmpose_pretext import checkpoint as ours

RUN = Path(__file__).parent / 'test_engine' / 'seeded_run.py'

needs_torch_2_6 = pytest.mark.skipif(
    torch.__version__ < '2.6', reason='torch.load is permissive before 2.6'
)


@pytest.fixture(scope='module')
def build():
    return runpy.run_path(str(RUN))['build']


@pytest.fixture(scope='module')
def trained(build, tmp_path_factory):
    """Work dir of a run of two epochs with EMA."""
    work_dir = tmp_path_factory.mktemp('run')
    build(work_dir, hooks=[dict(type='EMAHook')], epochs=2).train()
    return work_dir


@pytest.fixture
def no_safe_globals():
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(allowed)


class Call:
    """Pickles to a call."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def save(path, content, legacy=False):
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return str(path)


def load(path):
    return CheckpointLoader.load_checkpoint(str(path), 'cpu', logger=None)


@needs_torch_2_6
def test_stock_fails(trained, no_safe_globals):
    with pytest.raises(pickle.UnpicklingError, match='Weights only load failed'):
        stock.load_from_local(str(trained / 'epoch_2.pth'), 'cpu')


def test_importing_the_package_is_enough(trained):
    code = (
        'import sys, torch, mmpose_pretext\n'
        'checkpoint = torch.load(sys.argv[1], weights_only=True)\n'
        "print(sorted(checkpoint), 'mmpose' in sys.modules)"
    )
    env = dict(os.environ, PYTHONPATH=str(RUN.parents[2]))
    args = [sys.executable, '-W', 'ignore', '-c', code, str(trained / 'epoch_2.pth')]
    out = subprocess.run(args, env=env, capture_output=True, text=True, check=True)
    keys = 'ema_state_dict message_hub meta optimizer param_schedulers state_dict'
    assert out.stdout.strip() == f'{keys.split()} False'


def test_reads_all_that_mmengine_wrote(trained):
    checkpoint = load(trained / 'epoch_2.pth')
    loss = checkpoint['message_hub']['log_scalars']['train/loss']
    assert isinstance(loss, HistoryBuffer)
    assert len(loss.data[0]) == 8
    assert np.isfinite(loss.mean())
    sigmas = checkpoint['meta']['dataset_meta']['sigmas']
    np.testing.assert_array_equal(sigmas, np.array([0.1, 0.2], dtype=np.float32))
    assert checkpoint['ema_state_dict']['steps'] == 8


def test_resume_and_load_from(build, trained, tmp_path):
    ema = dict(type='EMAHook')
    path = str(trained / 'epoch_2.pth')
    resumed = build(tmp_path, hooks=[ema], epochs=3, load_from=path, resume=True)
    resumed.train()
    assert (resumed.epoch, resumed.iter) == (3, 12)
    assert len(resumed.message_hub.get_scalar('train/loss').data[0]) == 12

    loaded = build(tmp_path, load_from=path)
    loaded.load_or_resume()
    for name, tensor in load(path)['state_dict'].items():
        assert torch.equal(loaded.model.state_dict()[name], tensor)


@pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
def test_arrays_of_either_numpy(tmp_path, core):
    arrays = [np.arange(3, dtype=code) for code in 'bhilqBHILQefd']
    arrays += [np.array('xy'), np.array([])]
    buffer = io.BytesIO()
    torch.save(dict(arrays=arrays, best=np.float32(0.5)), buffer)
    path = tmp_path / 'arrays.pth'
    with ZipFile(buffer) as source, ZipFile(path, 'w') as target:
        for name in source.namelist():
            data = re.sub(rb'cnumpy\._?core\.', b'c%s.' % core, source.read(name))
            target.writestr(name, data)
    assert b'c%s.multiarray' % core in path.read_bytes()
    loaded = load(path)
    for one, other in zip(loaded['arrays'], arrays, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert loaded['best'] == np.float32(0.5)


@needs_torch_2_6
@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
@pytest.mark.parametrize(
    ('function', 'args', 'name'),
    [
        (os.system, ('touch {path}',), f'{os.name}.system'),
        (builtins.eval, ("open('{path}', 'w')",), 'eval'),
        (builtins.exec, ("open('{path}', 'w')",), 'exec'),
    ],
    ids=['os.system', 'eval', 'exec'],
)
def test_malicious_file_is_refused(tmp_path, function, args, name, legacy):
    victim = tmp_path / 'victim'
    args = [arg.format(path=victim) for arg in args]
    content = dict(state_dict=dict(a=torch.zeros(1)), bad=Call(function, *args))
    path = save(tmp_path / 'bad.pth', content, legacy)
    with pytest.raises(pickle.UnpicklingError) as error:
        load(path)
    assert not victim.exists()
    message = str(error.value)
    assert message.startswith(f"{path} was refused: it asks for '{name}'")
    assert 'nothing in it was run' in message
    assert 'add_safe_globals' in message

    # The attack is real: a load that is not safe runs it.
    torch.load(path, weights_only=False)
    assert victim.exists()


@needs_torch_2_6
@pytest.mark.parametrize(
    ('owner', 'name'),
    [
        (HistoryBuffer, '__init__'),
        (HistoryBuffer, 'register_statistics'),
        (HistoryBuffer, '__subclasses__'),
        (np.ndarray, 'mean'),
        (HistoryBuffer([1], [1]), 'mean'),
        (OrderedDict, '__subclasses__'),
    ],
)
def test_getattr_serves_nothing_else(tmp_path, owner, name):
    path = save(tmp_path / 'bad.pth', dict(a=Call(getattr, owner, name)))
    with pytest.raises(pickle.UnpicklingError, match=r'refused.*getattr\(') as error:
        load(path)
    assert name in str(error.value)


@needs_torch_2_6
def test_getattr_serves_the_statistics(tmp_path):
    path = save(tmp_path / 'good.pth', dict(a=Call(getattr, HistoryBuffer, 'mean')))
    assert load(path)['a'] is HistoryBuffer.mean
    # A pickle may have it, but not call it.
    path = save(tmp_path / 'bad.pth', dict(a=Call(HistoryBuffer.mean, 1)))
    with pytest.raises(ValueError, match='reduce for unrecognized function'):
        load(path)


@needs_torch_2_6
def test_users_may_allow_more(tmp_path):
    path = save(tmp_path / 'own.pth', dict(when=Path))
    with pytest.raises(pickle.UnpicklingError, match=r"asks for 'pathlib[\w.]*\.Path'"):
        load(path)
    with torch.serialization.safe_globals([Path]):
        assert load(path)['when'] is Path


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'EOFError'),
        (b'hello, this is a text\n' * 9, 'KeyError'),
        (b'\xff\xd8\xff\xe0 a JPEG', 'Unsupported operand'),
        (pickle.dumps(dict(a=1), 2), 'magic number'),
        (None, 'PytorchStreamReader'),
    ],
    ids=['empty', 'text', 'jpeg', 'pickle', 'truncated'],
)
@needs_torch_2_6
def test_unreadable_file(tmp_path, content, reason):
    path = tmp_path / 'broken.pth'
    if content is None:
        save(path, dict(a=torch.zeros(99)))
        content = path.read_bytes()[:-100]
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match='damaged or not a PyTorch checkpoint'
    ) as error:
        load(path)
    assert str(error.value).startswith(f'{path} is damaged')
    assert reason in str(error.value)


def test_errors_that_are_not_the_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.pth'):
        load(tmp_path / 'nothing.pth')
    path = save(tmp_path / 'good.pth', dict(a=torch.zeros(1)))
    with pytest.raises(RuntimeError, match='restore data location'):
        CheckpointLoader.load_checkpoint(path, 'nowhere', logger=None)


def test_nothing_is_changed_before_torch_2_6(monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.5.1')
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    CheckpointLoader.register_scheme('', stock.load_from_local, force=True)
    ours.activate()
    assert CheckpointLoader._schemes[''] is stock.load_from_local
    monkeypatch.setattr(torch, '__version__', '2.6.0')
    ours.activate()
    assert CheckpointLoader._schemes[''] is ours.load_from_local
