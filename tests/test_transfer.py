import logging
import runpy
from pathlib import Path

import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.logging import MMLogger
from mmengine.model import BaseModule, initialize
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from mmpose_pretext.transfer import (
    PretrainedBackbone,
    check_coverage,
    match,
    model_tensors,
    strip_prefix,
    suggest_prefix,
)

HRNET_STAGES = {
    f'stage{n}': dict(
        num_modules=1,
        num_branches=max(n, 1),
        block='BASIC' if n > 1 else 'BOTTLENECK',
        num_blocks=(1,) * n,
        num_channels=(4, 8, 16, 32)[:n],
    )
    for n in (1, 2, 3, 4)
}
BACKBONES = {
    'resnet': dict(
        type='ResNet',
        depth=18,
        base_channels=8,
        stem_channels=8,
        zero_init_residual=True,
    ),
    'hrnet': dict(
        type='HRNet', in_channels=3, extra=HRNET_STAGES, zero_init_residual=True
    ),
}
RESNET18 = BACKBONES['resnet']
HEAD = dict(
    type='HeatmapHead',
    in_channels=64,
    out_channels=5,
    deconv_out_channels=(8, 8),
    deconv_kernel_sizes=(4, 4),
)


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmpose')


def build(cfg, **kwargs):
    return MODELS.build(dict(cfg, **kwargs))


def randomize(module, seed=0):
    """Fill a module with values that no initializer gives."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 2)
        else:
            tensor.fill_(42)
    return module.state_dict()


def init_cfg(path, **kwargs):
    type_ = kwargs.pop('type', 'mmpose_pretext.PretrainedBackbone')
    return dict(type=type_, checkpoint=str(path), **kwargs)


def prefixed(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def assert_holds(module, tensors):
    state = module.state_dict()
    assert state.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(state[name], tensor), name


@pytest.fixture
def save(tmp_path):
    def save(content):
        path = tmp_path / 'weights.pth'
        torch.save(content, path)
        return path

    return save


@pytest.fixture
def resnet18():
    return randomize(build(RESNET18))


class Log(logging.Handler):
    """Keep what MMEngine's current logger is told."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        if record.getMessage().startswith('Pretrained'):
            self.records.append(record)


@pytest.fixture
def log():
    handler = Log()
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield handler.records
    logger.removeHandler(handler)


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.backbone.'])
def test_loads_a_backbone_to_the_last_tensor(save, name, prefix):
    tensors = randomize(build(BACKBONES[name]))
    path = save(dict(state_dict=prefixed(prefix, tensors)))
    backbone = build(BACKBONES[name], init_cfg=init_cfg(path))
    backbone.init_weights()
    assert_holds(backbone, tensors)


@pytest.mark.parametrize('name', BACKBONES)
def test_has_the_last_word_in_a_list(save, name):
    tensors = randomize(build(BACKBONES[name]))
    others = [
        dict(type='Kaiming', layer='Conv2d'),
        dict(type='Constant', layer='BatchNorm2d', val=1),
    ]
    ours = init_cfg(save(tensors))
    backbone = build(BACKBONES[name], init_cfg=[*others, ours])
    backbone.init_weights()
    assert_holds(backbone, tensors)

    backbone = build(BACKBONES[name], init_cfg=[ours, *others])
    with pytest.raises(ValueError, match='must be the last .* Constant'):
        backbone.init_weights()


def test_within_a_model(save, resnet18, log):
    deconv = randomize(build(HEAD).deconv_layers, seed=1)
    path = save(
        prefixed('backbone.', resnet18) | prefixed('head.deconv_layers.', deconv)
    )
    model = MODELS.build(
        dict(
            type='TopdownPoseEstimator',
            backbone=dict(RESNET18, init_cfg=init_cfg(path)),
            head=dict(
                HEAD, init_cfg=init_cfg(path, type='mmpose_pretext.PretrainedDeconv')
            ),
        )
    )
    model.init_weights()
    assert_holds(model.backbone, resnet18)
    assert_holds(model.head.deconv_layers, deconv)
    # The final layer keeps the head's own default, a normal of deviation 0.001.
    final = model.head.final_layer
    assert 0.0005 < final.weight.std() < 0.002
    assert final.bias.eq(0).all()
    backbone, head = (record.getMessage() for record in log)
    assert 'PretrainedBackbone' in backbone
    assert (
        "prefix 'backbone.', trained weights: coverage 100.0%, loaded 100" in backbone
    )
    assert 'PretrainedDeconv' in head
    assert 'loaded 10\n' in head


class Child(BaseModule):
    """Draws its weights by itself."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)

    def init_weights(self):
        super().init_weights()
        nn.init.constant_(self.conv.weight, -1)


class Parent(BaseModule):
    def __init__(self, init_cfg):
        super().__init__(init_cfg)
        self.loaded, self.left = Child(), Child()


def test_children_come_first(save):
    path = save({'loaded.conv.weight': torch.ones(1, 1, 1, 1)})
    module = Parent(init_cfg(path, min_coverage=0.25))
    module.init_weights()
    assert module.loaded.conv.weight.item() == 1
    assert module.left.conv.weight.item() == -1


def test_outside_of_init_weights(save, resnet18):
    backbone = build(RESNET18)
    initialize(backbone, init_cfg(save(resnet18)))
    assert_holds(backbone, resnet18)


def error_of(module, *args, **kwargs):
    with pytest.raises(ValueError, match=r'Pretrained.*weights\.pth: ') as error:
        initialize(module, init_cfg(*args, **kwargs))
    return str(error.value)


def test_shallower_file_fails(save):
    path = save(randomize(build(RESNET18)))
    message = error_of(build(RESNET18, depth=34), path)
    # 100 of 180 weights of the ResNet-34.
    assert 'too few tensors fit: 55.6%, and 100.0% are required' in message
    assert 'missing in the file: 80 (layer1.2.conv1.weight, ' in message
    assert ', and 75 more)' in message


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_deeper_file_fails(save, prefix):
    """All of a ResNet-18's tensors are in a ResNet-34: stock says nothing."""
    path = save(prefixed(prefix, randomize(build(RESNET18, depth=34))))
    message = error_of(build(RESNET18), path)
    assert 'coverage 55.6%, loaded 100\n  missing in the file: 0\n' in message
    assert 'unexpected in the file: 80 (layer1.2.conv1.weight' in message


def test_other_shapes_fail(save):
    path = save(randomize(build(RESNET18)))
    message = error_of(build(RESNET18, stem_channels=4), path)
    # conv1, bn1 and the first convolution after them.
    assert 'of another shape: 6 (conv1.weight: (8, 3, 7, 7) in the file, ' in message
    assert '(4, 3, 7, 7) wanted, ' in message


def test_misshaped_tensors_are_left_alone(save, resnet18):
    resnet18 = dict(resnet18, **{'conv1.weight': torch.zeros(8, 1, 7, 7)})
    backbone = build(RESNET18)
    before = backbone.conv1.weight.clone()
    initialize(backbone, init_cfg(save(resnet18), min_coverage=0.99))
    assert torch.equal(backbone.conv1.weight, before)
    assert torch.equal(backbone.bn1.weight, resnet18['bn1.weight'])


def test_a_classifier_may_be_left_over(save, resnet18, log):
    path = save(dict(resnet18, **{'fc.weight': torch.zeros(2, 64)}))
    backbone = build(RESNET18)
    initialize(backbone, init_cfg(path))
    assert_holds(backbone, resnet18)
    assert log[-1].levelno == logging.WARNING
    assert 'unexpected in the file: 1 (fc.weight)' in log[-1].getMessage()


def test_counters_do_not_count(save, resnet18):
    path = save({k: v for k, v in resnet18.items() if 'num_batches' not in k})
    backbone = build(RESNET18)
    initialize(backbone, init_cfg(path))
    assert torch.equal(backbone.bn1.weight, resnet18['bn1.weight'])
    assert backbone.bn1.num_batches_tracked == 0


def test_nothing_loaded_fails_at_any_coverage(save):
    path = save(dict(state_dict=dict(other=torch.zeros(1))))
    message = error_of(build(RESNET18), path, min_coverage=0)
    assert 'too few tensors fit: 0.0%' in message


def test_prefixes(save, resnet18):
    path = save(prefixed('student.backbone.', resnet18))
    hint = "Most names fit with prefix='student.backbone.': 100 of 100."

    assert hint in error_of(build(RESNET18), path)
    message = error_of(build(RESNET18), path, prefix='backbone.')
    assert "prefix 'backbone.' matches none of the 120 tensors" in message
    assert 'Their names start with student.' in message
    assert hint in message
    message = error_of(build(RESNET18), path, prefix='student.backbone')
    assert "prefix 'student.backbone' must end with a dot" in message

    backbone = build(RESNET18)
    initialize(backbone, init_cfg(path, prefix='student.backbone.'))
    assert_holds(backbone, resnet18)


def test_ambiguous_file(save, resnet18):
    other = randomize(build(RESNET18), seed=1)
    path = save(resnet18 | prefixed('backbone.', other))
    assert 'with and without' in error_of(build(RESNET18), path)
    for prefix, tensors in (('', resnet18), ('backbone.', other)):
        backbone = build(RESNET18)
        initialize(backbone, init_cfg(path, prefix=prefix, min_coverage=0.5))
        assert_holds(backbone, tensors)


@pytest.mark.parametrize('ema', [False, True])
def test_ema(save, resnet18, ema, log):
    averaged = randomize(build(RESNET18), seed=1)
    # As EMAHook leaves it: the averaged weights in state_dict.
    path = save(
        dict(
            state_dict=prefixed('backbone.', averaged),
            ema_state_dict=prefixed('module.backbone.', resnet18)
            | dict(steps=torch.tensor(3)),
        )
    )
    backbone = build(RESNET18)
    initialize(backbone, init_cfg(path, ema=ema))
    assert_holds(backbone, averaged if ema else resnet18)
    assert ('averaged (EMA)' if ema else 'trained') + ' weights' in log[-1].getMessage()


def test_ema_of_a_real_run(tmp_path):
    script = Path(__file__).parent / 'test_engine' / 'seeded_run.py'
    hook = EMAHook()
    runner = runpy.run_path(str(script))['build'](tmp_path, hooks=[hook], epochs=1)
    runner.train()
    checkpoint = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    trained, averaged = runner.model.state_dict(), hook.ema_model.module.state_dict()
    assert not torch.equal(trained['head.weight'], averaged['head.weight'])
    for ema, wanted in ((False, trained), (True, averaged)):
        tensors = model_tensors(checkpoint, ema)
        assert tensors.keys() == wanted.keys()
        assert all(torch.equal(tensors[name], wanted[name]) for name in wanted)


def test_no_ema(save, resnet18):
    message = error_of(build(RESNET18), save(dict(state_dict=resnet18)), ema=True)
    assert "no 'ema_state_dict'" in message


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ([1, 2], 'expected a dict of tensors, got list'),
        (dict(state_dict=None), 'expected a dict of tensors, got NoneType'),
        (dict(meta=dict(epoch=1)), 'no model weights in the checkpoint.*only meta'),
        (dict(state_dict={}), 'no model weights'),
    ],
)
def test_no_weights(save, content, words):
    with pytest.raises(ValueError, match=words):
        PretrainedBackbone(str(save(content)))(build(RESNET18))


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth'):
        PretrainedBackbone(str(tmp_path / 'none.pth'))(build(RESNET18))


@pytest.mark.parametrize('coverage', [-0.1, 1.1])
def test_bad_coverage(coverage):
    with pytest.raises(ValueError, match='min_coverage must be a fraction'):
        PretrainedBackbone('a.pth', min_coverage=coverage)


class TestDeconv:
    def test_backbone_alone(self, save, resnet18):
        path = save(prefixed('backbone.', resnet18))
        message = error_of(build(HEAD), path, type='mmpose_pretext.PretrainedDeconv')
        assert "no deconvolution layers ('head.deconv_layers.')" in message
        assert 'extract_backbone.py --with-deconv' in message

    def test_own_prefix(self, save):
        deconv = randomize(build(HEAD).deconv_layers)
        path = save(prefixed('neck.up.', deconv))
        head = build(HEAD)
        final = head.final_layer.weight.clone()
        cfg = init_cfg(path, type='mmpose_pretext.PretrainedDeconv', prefix='neck.up.')
        initialize(head, cfg)
        assert_holds(head.deconv_layers, deconv)
        assert torch.equal(head.final_layer.weight, final)

    def test_more_layers_fail(self, save):
        more = dict(HEAD, deconv_out_channels=(8,) * 3, deconv_kernel_sizes=(4,) * 3)
        tensors = randomize(build(more).deconv_layers)
        path = save(prefixed('head.deconv_layers.', tensors))
        message = error_of(build(HEAD), path, type='mmpose_pretext.PretrainedDeconv')
        assert 'unexpected in the file: 5 (6.weight' in message

    @pytest.mark.parametrize(
        'module',
        [
            nn.Conv2d(1, 1, 1),
            lambda: build(HEAD, deconv_out_channels=(), deconv_kernel_sizes=()),
        ],
        ids=['no head', 'no layers'],
    )
    def test_no_layers(self, save, module):
        module = module if isinstance(module, nn.Module) else module()
        message = error_of(module, save({}), type='mmpose_pretext.PretrainedDeconv')
        assert f'the {type(module).__name__} has no deconvolution layers' in message


def test_pure_functions_on_a_small_example():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    tensors = {
        'net.0.weight': torch.zeros(3, 2),
        'net.0.bias': torch.zeros(4),
        'net.1.weight': torch.zeros(3),
        'net.1.num_batches_tracked': torch.tensor(0),
        'net.7.weight': torch.zeros(3),
    }
    source = strip_prefix(model_tensors(tensors), 'net.')
    found = match(source, module, claimed=True)
    assert found.loaded == ('0.weight', '1.weight')
    assert found.missing == ('1.bias', '1.running_mean', '1.running_var')
    assert found.unexpected == ('7.weight',)
    assert found.misshaped == {'0.bias': ((4,), (3,))}
    assert found.coverage == 2 / 7
    assert match(source, module, claimed=False).coverage == 2 / 6
    check_coverage(found, 2 / 7)
    with pytest.raises(ValueError, match='too few'):
        check_coverage(found, 0.3)
    assert suggest_prefix(tensors, module).endswith("prefix='net.': 3 of 6.")
    assert suggest_prefix({}, module) == ''
