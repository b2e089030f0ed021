import hashlib
import json
import os

import pytest
import torch
from mmengine.model import initialize
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from mmpose_pretext import __version__

CONFIG = """
default_scope = 'mmpose'
model = dict(
    type='TopdownPoseEstimator',
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    head=dict(
        type='HeatmapHead',
        in_channels=64,
        out_channels=4,
        deconv_out_channels=(8, ),
        deconv_kernel_sizes=(4, )))
"""


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('model_converters/extract_backbone.py')


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('config') / 'hsjp_tiny.py'
    path.write_text(CONFIG)
    return str(path)


@pytest.fixture(scope='module')
def model(tool, config):
    targets = tool.build_targets(config, with_deconv=True)
    for value, module in enumerate(targets.values()):
        for tensor in module.state_dict().values():
            tensor.fill_(value + 2)
    return targets


@pytest.fixture
def source(tmp_path, model):
    """A training checkpoint; the averaged weights are the trained ones plus 10."""
    trained = {p + k: v for p, m in model.items() for k, v in m.state_dict().items()}
    trained['head.final_layer.weight'] = torch.zeros(4, 8, 1, 1)
    path = tmp_path / 'epoch_3.pth'
    meta = dict(epoch=3, iter=12, experiment_name='hsjp_tiny-2e_20260102_030405')
    # It would fail if the stored config were run.
    meta['cfg'] = "raise RuntimeError('the stored config was run')"
    torch.save(
        dict(
            meta=meta,
            message_hub={},
            optimizer={},
            state_dict={k: v + 10 for k, v in trained.items()},
            ema_state_dict={'module.' + k: v for k, v in trained.items()},
        ),
        path,
    )
    return path


@pytest.fixture
def plain(source):
    """The same without averaged weights."""
    checkpoint = torch.load(source, weights_only=True)
    ema = checkpoint.pop('ema_state_dict')
    checkpoint['state_dict'] = {k[len('module.') :]: v for k, v in ema.items()}
    path = source.with_name('plain.pth')
    torch.save(checkpoint, path)
    return path


def fail(tool, capsys, *argv):
    with pytest.raises(SystemExit) as error:
        tool.main([str(word) for word in argv])
    if error.value.code == 2:
        return capsys.readouterr().err
    return error.value.code


def check_load(cfg, path, wanted, **kwargs):
    module = MODELS.build(cfg)
    initialize(module, dict(checkpoint=str(path), **kwargs))
    for name, tensor in module.state_dict().items():
        if name.startswith('final_layer'):
            continue
        assert tensor.eq(wanted).all(), name


BACKBONE = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)
OURS = 'mmpose_pretext.PretrainedBackbone'


def test_plain(tool, plain, tmp_path, capsys):
    out = tmp_path / 'new' / 'backbone.pth'
    tool.main([str(plain), str(out)])
    printed = capsys.readouterr().out
    assert 'plain.pth (hsjp_tiny-2e, epoch 3): trained weights' in printed
    assert 'backbone.*: 120 tensors' in printed
    assert 'not compared with a model' in printed

    content = torch.load(out, weights_only=True)
    assert content.keys() == {'state_dict', 'meta'}
    assert json.loads(json.dumps(content['meta'])) == dict(
        method='hsjp',
        config='hsjp_tiny-2e',
        epoch=3,
        iter=12,
        weights='trained',
        source='plain.pth',
        source_sha256=hashlib.sha256(plain.read_bytes()).hexdigest(),
        mmpose_pretext=__version__,
    )
    assert len(content['state_dict']) == 120
    init_default_scope('mmpose')
    for type_ in (OURS, 'Pretrained'):
        check_load(BACKBONE, out, 2, type=type_)


def test_with_deconv(tool, plain, config, tmp_path, capsys):
    out = tmp_path / 'both.pth'
    tool.main([str(plain), str(out), '--with-deconv', '--config', config])
    printed = capsys.readouterr().out
    assert 'backbone.*: 120 tensors' in printed
    assert 'head.deconv_layers.*: 6 tensors' in printed
    assert printed.count('coverage 100.0%') == 2
    content = torch.load(out, weights_only=True)
    assert not any('final_layer' in name for name in content['state_dict'])
    assert content['meta']['config'] == 'hsjp_tiny'

    init_default_scope('mmpose')
    check_load(BACKBONE, out, 2, type=OURS)
    check_load(BACKBONE, out, 2, type='Pretrained', prefix='backbone.')
    head = dict(
        type='HeatmapHead',
        in_channels=64,
        out_channels=9,
        deconv_out_channels=(8,),
        deconv_kernel_sizes=(4,),
    )
    check_load(head, out, 3, type='mmpose_pretext.PretrainedDeconv')


@pytest.mark.parametrize(
    ('option', 'value', 'word'), [([], 2, 'trained'), (['--ema'], 12, 'averaged')]
)
def test_ema(tool, source, tmp_path, capsys, option, value, word):
    out = tmp_path / 'out.pth'
    tool.main([str(source), str(out), *option])
    assert f'{word} weights' in capsys.readouterr().out
    content = torch.load(out, weights_only=True)
    assert content['meta']['weights'] == word
    assert all(tensor.eq(value).all() for tensor in content['state_dict'].values())


def test_same_bytes(tool, source, tmp_path):
    outs = [tmp_path / 'a.pth', tmp_path / 'another.pth']
    for out in outs:
        tool.main([str(source), str(out)])
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_small_tensors_of_large_storages(tool, tmp_path):
    big = torch.zeros(1000, 1000)
    torch.save({'backbone.a': big[0]}, tmp_path / 'big.pth')
    tool.main([str(tmp_path / 'big.pth'), str(tmp_path / 'out.pth')])
    assert (tmp_path / 'out.pth').stat().st_size < 20_000
    meta = torch.load(tmp_path / 'out.pth', weights_only=True)['meta']
    assert (meta['method'], meta['config'], meta['epoch']) == (None, None, None)


def test_prefix(tool, plain, tmp_path, capsys):
    out = tmp_path / 'out.pth'
    message = fail(tool, capsys, plain, out, '--prefix', 'backbon.')
    assert message.startswith(f"error: {plain}: prefix 'backbon.' matches none of")
    assert 'backbone., head.' in message
    message = fail(tool, capsys, plain, out, '--prefix', 'backbone')
    assert 'must end with a dot' in message
    assert not out.exists()
    tool.main([str(plain), str(out), '--prefix', 'head.deconv_layers.'])
    assert len(torch.load(out, weights_only=True)['state_dict']) == 6


def test_coverage(tool, plain, config, tmp_path, capsys):
    out = tmp_path / 'out.pth'
    checkpoint = torch.load(plain, weights_only=True)
    del checkpoint['state_dict']['backbone.conv1.weight']
    torch.save(checkpoint, plain)
    message = fail(tool, capsys, plain, out, '--config', config)
    assert 'too few tensors fit: 99.0%' in message
    assert 'missing in the file: 1 (conv1.weight)' in message
    assert not out.exists()
    tool.main([str(plain), str(out), '--config', config, '--min-coverage', '0.99'])
    assert 'coverage 99.0%' in capsys.readouterr().out


def test_overwrites_only_with_force(tool, plain, tmp_path, capsys):
    out = tmp_path / 'out.pth'
    out.write_bytes(b'precious')
    assert 'Use --force' in fail(tool, capsys, plain, out)
    assert out.read_bytes() == b'precious'
    tool.main([str(plain), str(out), '--force'])
    assert torch.load(out, weights_only=True)['meta']['epoch'] == 3
    assert list(tmp_path.glob('*.partial')) == []
    before = plain.read_bytes()
    assert 'same file' in fail(tool, capsys, plain, plain, '--force')
    assert plain.read_bytes() == before


class Attack:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


def test_bad_input(tool, plain, tmp_path, capsys):
    out, bad = tmp_path / 'out.pth', tmp_path / 'bad.pth'
    assert 'none.pth can not be found' in fail(tool, capsys, tmp_path / 'none.pth', out)
    assert f'{tmp_path} is a directory' in fail(tool, capsys, tmp_path, out)
    assert f'{tmp_path} is a directory' in fail(tool, capsys, plain, tmp_path)
    for content in (b'', b'not a checkpoint\n' * 9):
        bad.write_bytes(content)
        message = fail(tool, capsys, bad, out)
        assert f'{bad} is damaged or not a PyTorch checkpoint' in message
    for content in ([1], dict(meta=dict(epoch=1)), dict(state_dict=[1])):
        torch.save(content, bad)
        message = fail(tool, capsys, bad, out)
        assert message.startswith(f'error: {bad}: ')
    victim = tmp_path / 'victim'
    torch.save(dict(state_dict={}, a=Attack(victim)), bad)
    message = fail(tool, capsys, bad, out)
    assert f'{bad} was refused: it asks for ' in message
    assert not victim.exists()
    message = fail(tool, capsys, plain, out, '--ema')
    assert "no 'ema_state_dict'" in message
    assert not out.exists()


def test_bad_config(tool, plain, tmp_path, capsys):
    out, config = tmp_path / 'out.pth', tmp_path / 'config.py'
    assert 'config.py' in fail(tool, capsys, plain, out, '--config', config)
    for text in ('a = 1', "model = dict(backbone=dict(type='NoNet'))"):
        config.write_text(text)
        message = fail(tool, capsys, plain, out, '--config', config)
        assert f'--config {config} describes no such model' in message
    assert not out.exists()


def test_bad_options(tool, capsys):
    assert '--min-coverage needs --config' in fail(
        tool, capsys, 'a', 'b', '--min-coverage', 0.5
    )
    assert 'must be in [0, 1]' in fail(
        tool, capsys, 'a', 'b', '--min-coverage', 2, '--config', 'c'
    )
    assert 'unrecognized arguments: --fast' in fail(tool, capsys, 'a', 'b', '--fast')


def test_help(tool, capsys):
    with pytest.raises(SystemExit) as error:
        tool.main(['--help'])
    assert error.value.code == 0
    assert '--with-deconv' in capsys.readouterr().out
