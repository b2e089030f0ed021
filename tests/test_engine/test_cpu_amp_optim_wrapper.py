from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torch.distributed
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from mmpose_pretext.engine import cpu_amp_optim_wrapper

CONFIG = (
    Path(__file__).parents[2]
    / 'configs/synthetic/td-hm_res18-half_scratch_1xb16-30e_synthetic-96x64.py'
)
OURS = 'mmpose_pretext.CPUAmpOptimWrapper'
FLAGS = 'flags\t\t: fpu avx512f {}avx512vl\n'


@pytest.fixture(autouse=True)
def cpuinfo(tmp_path, monkeypatch):
    """Linux's description of the CPU, here of one with bfloat16 instructions."""
    path = tmp_path / 'cpuinfo'
    path.write_text(FLAGS.format('avx512_bf16 '))
    monkeypatch.setattr(cpu_amp_optim_wrapper, 'CPUINFO', path)
    return path


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    """On a busy machine several threads only wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpose'):
        return MODELS.build(Config.fromfile(CONFIG).model).train()


@pytest.fixture(scope='module')
def batch(load_tool):
    make_batch = load_tool('benchmarks/training_speed.py').make_batch
    with DefaultScope.overwrite_default_scope('mmpose'):
        return make_batch(Config.fromfile(CONFIG).train_dataloader.dataset, 4)


def wrap(model, **kwargs):
    optimizer = kwargs.pop('optimizer', dict(type='SGD', lr=0.01, momentum=0.9))
    with DefaultScope.overwrite_default_scope('mmpose'):
        return build_optim_wrapper(model, dict(optimizer=optimizer, **kwargs))


def train(model, batch, steps=1, **kwargs):
    """Train a copy; return it, its wrapper, and the log of the last step."""
    model = deepcopy(model)
    optim_wrapper = wrap(model, **kwargs)
    for _ in range(steps):
        log = model.train_step(batch, optim_wrapper)
    return model, optim_wrapper, log


def assert_close(one, other, **kwargs):
    one, other = one.state_dict(), other.state_dict()
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], msg=name, **kwargs)


def record_convolutions(model):
    """Record the outputs of all convolutions."""
    outputs = []
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.register_forward_hook(lambda m, args, out: outputs.append(out))
    return outputs


def test_only_computing_is_in_bf16(model, batch):
    model = deepcopy(model)
    optim_wrapper = wrap(model, type=OURS, optimizer=dict(type='Adam', lr=1e-3))
    outputs = record_convolutions(model)
    log = model.train_step(batch, optim_wrapper)

    assert len(outputs) > 20
    for out in outputs:
        assert out.dtype == torch.bfloat16
        assert out.is_contiguous(memory_format=torch.channels_last)
    assert log['loss'].dtype == torch.float32
    assert 'acc_pose' in log  # goes through NumPy, which has no bfloat16
    state = [
        value
        for slot in optim_wrapper.state_dict()['state'].values()
        for value in slot.values()
    ]
    assert len(state) > 100
    for tensor in [*model.parameters(), *model.buffers(), *state]:
        assert tensor.dtype in (torch.float32, torch.int64)


def test_heads_predict_in_float32(model, batch):
    model = deepcopy(model)
    optim_wrapper = wrap(model, type=OURS)
    data = model.data_preprocessor(batch, True)
    with optim_wrapper.optim_context(model):
        feats = model.extract_feat(data['inputs'])
        assert feats[0].dtype == torch.bfloat16
        assert model.head.forward(feats).dtype == torch.float32
    assert 'forward' not in vars(model.head)


def test_validation_is_in_float32(model, batch):
    stock, *_ = train(model, batch)
    ours, *_ = train(model, batch, type=OURS)
    ours.load_state_dict(stock.state_dict())
    outputs = record_convolutions(ours)
    with torch.no_grad():
        expected = stock.eval().val_step(batch)
        predicted = ours.eval().val_step(batch)
    assert {out.dtype for out in outputs} == {torch.float32}
    assert outputs[0].is_contiguous()
    for one, other in zip(predicted, expected, strict=True):
        torch.testing.assert_close(
            torch.from_numpy(one.pred_instances.keypoint_scores),
            torch.from_numpy(other.pred_instances.keypoint_scores),
            rtol=1e-4,
            atol=1e-5,
        )


def test_step_agrees_with_float32(model, batch):
    # Statistics of so few pixels would amplify the rounding.
    model = deepcopy(model).eval()
    stock, _, expected = train(model, batch)
    ours, _, log = train(model, batch, type=OURS)
    assert log['loss'].item() == pytest.approx(expected['loss'].item(), rel=0.02)
    assert log['loss'] != expected['loss']

    @torch.no_grad()
    def update(trained):
        pairs = zip(trained.parameters(), model.parameters(), strict=True)
        return torch.cat([(new - old).flatten() for new, old in pairs])

    updates = update(stock), update(ours)
    assert torch.cosine_similarity(*updates, dim=0) > 0.98
    assert updates[1].norm() == pytest.approx(updates[0].norm().item(), rel=0.05)


@pytest.mark.parametrize(
    'options',
    [dict(), dict(accumulative_counts=2, clip_grad=dict(max_norm=0.01))],
    ids=['plain', 'accumulated and clipped'],
)
def test_channels_last_alone_equals_stock(model, batch, options):
    model = deepcopy(model).eval()
    kwargs = dict(steps=2, **options)
    stock, _, expected = train(model, batch, **deepcopy(kwargs))
    outputs = record_convolutions(model)
    ours, _, log = train(model, batch, type=OURS, dtype='float32', **deepcopy(kwargs))
    assert len(outputs) > 20
    for out in outputs:
        assert out.dtype == torch.float32
        assert out.is_contiguous(memory_format=torch.channels_last)
    assert all(p.is_contiguous() for p in ours.parameters())
    torch.testing.assert_close(log, expected, rtol=1e-5, atol=1e-5)
    for new, other, old in zip(
        ours.parameters(), stock.parameters(), model.parameters(), strict=True
    ):
        assert (new - other).norm() <= 0.01 * (other - old).norm() + 1e-7


def test_contiguous_float32_is_stock(model, batch):
    stock, *_ = train(model, batch)
    ours, *_ = train(
        model, batch, type=OURS, dtype='float32', channels_last=False, fused=False
    )
    assert all(p.is_contiguous() for p in ours.parameters())
    assert_close(ours, stock, rtol=0, atol=0)


@pytest.mark.parametrize('kind', ['Adam', 'AdamW', 'SGD'])
def test_fused_step_is_the_same_formula(model, batch, kind):
    options = dict(
        steps=3,
        type=OURS,
        optimizer=dict(type=kind, lr=1e-3, weight_decay=0.01),
        clip_grad=dict(max_norm=1),
    )
    model = deepcopy(model).eval()
    apart, wrapper, _ = train(model, batch, fused=False, **deepcopy(options))
    assert wrapper.optimizer.param_groups[0]['fused'] is None
    ours, wrapper, _ = train(model, batch, **deepcopy(options))
    assert wrapper.optimizer.param_groups[0]['fused'] is True
    for new, other, old in zip(
        ours.parameters(), apart.parameters(), model.parameters(), strict=True
    ):
        # bfloat16 gradients after the first step amplify the rounding
        assert (new - other).norm() <= 0.02 * (other - old).norm() + 1e-7


@pytest.mark.parametrize(
    'choice', [dict(foreach=True), dict(foreach=False), dict(fused=False)]
)
def test_what_the_config_says_of_the_step_stays(model, batch, choice):
    optimizer = dict(type='Adam', lr=1e-3, **choice)
    _, wrapper, _ = train(model, batch, type=OURS, optimizer=optimizer)
    assert not wrapper.optimizer.param_groups[0]['fused']


def test_optimizers_without_a_fused_kernel(model, batch):
    optimizer = dict(type='RMSprop', lr=1e-3)
    trained, *_ = train(model, batch, type=OURS, optimizer=optimizer)
    moved = zip(trained.parameters(), model.parameters(), strict=True)
    assert any(not torch.equal(new, old) for new, old in moved)


def test_distributed(model, batch, tmp_path, monkeypatch):
    options = dict(type=OURS, dtype='float32', accumulative_counts=2)
    model = deepcopy(model).eval()
    expected, *_ = train(model, batch, steps=2, **options)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/rendezvous', rank=0, world_size=1
    )
    try:
        ddp = MMDistributedDataParallel(deepcopy(model))
        unsynced = []
        no_sync = ddp.no_sync
        monkeypatch.setattr(ddp, 'no_sync', lambda: unsynced.append(1) or no_sync())
        optim_wrapper = wrap(ddp, **options)
        for _ in range(2):
            ddp.train_step(batch, optim_wrapper)
        assert len(unsynced) == 1
        assert_close(ddp.module, expected, rtol=0, atol=0)
    finally:
        torch.distributed.destroy_process_group()


def run(work_dir, epochs, wrapper=OURS, resume_from=None):
    """Train the config as ``--cfg-options optim_wrapper.type=...`` does."""
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(
        {
            'optim_wrapper.type': wrapper,
            'train_cfg': dict(by_epoch=True, max_epochs=epochs, val_interval=1),
            'work_dir': str(work_dir),
            'experiment_name': work_dir.name,
            'visualizer.name': work_dir.name,
            'load_from': resume_from and str(resume_from),
            'resume': resume_from is not None,
        }
    )
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=2, num_workers=0)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def test_trains_validates_and_resumes(demo_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(demo_dir)
    whole = run(tmp_path / 'cpu_amp_whole', 2)
    assert type(whole.optim_wrapper).__name__ == 'CPUAmpOptimWrapper'
    assert isinstance(whole.optim_wrapper.optimizer, torch.optim.Adam)
    first = tmp_path / 'cpu_amp_whole' / 'epoch_1.pth'

    resumed = run(tmp_path / 'cpu_amp_resumed', 2, resume_from=first)
    assert resumed.iter == whole.iter == 4
    assert_close(resumed.model, whole.model, rtol=0, atol=0)

    stock = run(tmp_path / 'cpu_amp_stock', 2, 'OptimWrapper', resume_from=first)
    states = (
        torch.load(first, weights_only=False)['state_dict'],
        whole.model.state_dict(),
        stock.model.state_dict(),
    )
    parameters = [name for name, _ in whole.model.named_parameters()]
    statistics = [name for name in states[0] if '.running_' in name]
    for names in (parameters, statistics):
        start, ours, theirs = (
            torch.cat([state[name].flatten() for name in names]) for state in states
        )
        # processors round differently, those with AMX tiles more than others
        assert (theirs - ours).norm() < 0.2 * (ours - start).norm()
    again = run(
        tmp_path / 'cpu_amp_again',
        3,
        resume_from=tmp_path / 'cpu_amp_stock' / 'epoch_2.pth',
    )
    assert again.iter == 6


@pytest.mark.parametrize('dtype', ['float16', 'bf16', None])
def test_other_dtypes_are_refused(model, dtype):
    with pytest.raises(ValueError, match=r"'bfloat16' or 'float32', but got .*scaling"):
        wrap(model, type=OURS, dtype=dtype)


def test_other_devices_are_refused(model, batch):
    elsewhere = deepcopy(model).to('meta')  # as on a GPU, with none at hand
    with pytest.raises(ValueError, match="is on meta; set .*'AmpOptimWrapper'"):
        elsewhere.train_step(batch, wrap(elsewhere, type=OURS))


@pytest.mark.parametrize(
    ('flag', 'dtype', 'warns'),
    [
        ('', 'bfloat16', True),
        ('', 'float32', False),
        ('avx512_bf16 ', 'bfloat16', False),
        ('amx_bf16 ', 'bfloat16', False),
        ('bf16 ', 'bfloat16', False),
    ],
)
def test_warns_once_where_bf16_is_slow(
    model, batch, cpuinfo, monkeypatch, flag, dtype, warns
):
    cpuinfo.write_text(FLAGS.format(flag))
    warnings = []
    monkeypatch.setattr(
        cpu_amp_optim_wrapper, 'print_log', lambda text, **_: warnings.append(text)
    )
    train(model, batch, steps=2, type=OURS, dtype=dtype)
    assert len(warnings) == warns
    assert all("dtype='float32'" in text for text in warnings)
