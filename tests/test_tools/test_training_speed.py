from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

CONFIGS = Path(__file__).parents[2] / 'configs' / 'synthetic'
STOCK = CONFIGS / 'td-hm_res18-half_scratch_1xb16-30e_synthetic-96x64.py'
HSJP = CONFIGS / 'hsjp_res18-half_1xb16-12e_synthetic-96x64.py'
SMALLEST = ['--batch-size', '2', '--repeats', '1', '--threads', '1']


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/training_speed.py')


def test_tables(tool, capsys):
    threads = torch.get_num_threads()
    assert tool.main([str(STOCK), str(HSJP), *SMALLEST]) == 0
    assert torch.get_num_threads() == threads
    printed = capsys.readouterr().out
    for config in (STOCK, HSJP):
        table = printed.split(f'{config.stem}\n\n')[1].split('\n\n')[0]
        header, _, stock, *ours = table.splitlines()
        assert header == '| training step | images/s | times stock |'
        assert stock.startswith('| float32, stock | ')
        assert stock.endswith(' | 1.00 (1.00 to 1.00) |')
        assert [line.split(' | ')[0] for line in ours] == [
            '| float32, channels-last',
            '| bfloat16, channels-last',
            '| bfloat16, channels-last, step not fused',
        ]
    assert 'batch size 2, 1 repeats. ' in printed
    assert 'bfloat16 instructions, 1 threads; ' in printed


def test_batch_is_the_pipelines(tool):
    for file, channels in ((STOCK, 17), (HSJP, 6)):
        config = Config.fromfile(file).train_dataloader.dataset
        with DefaultScope.overwrite_default_scope('mmpose'):
            batch = tool.make_batch(config, 2)
        assert [tuple(image.shape) for image in batch['inputs']] == [(3, 96, 64)] * 2
        assert not torch.equal(*batch['inputs'])
        for sample in batch['data_samples']:
            assert sample.gt_fields.heatmaps.shape == (channels, 24, 16)
            assert sample.gt_fields.heatmaps.max() > 0.9
            assert sample.gt_instance_labels.keypoint_weights.sum() > 0


def test_what_is_compared(tool):
    config = Config.fromfile(STOCK)
    config.optim_wrapper.update(
        type='AmpOptimWrapper', loss_scale='dynamic', clip_grad=dict(max_norm=1)
    )
    with DefaultScope.overwrite_default_scope('mmpose'):
        built = tool.build(config)
    wrappers = [optim_wrapper for _, optim_wrapper in built.values()]
    assert [
        (type(w).__name__, getattr(w, 'dtype', None), getattr(w, 'fused', None))
        for w in wrappers
    ] == [
        ('OptimWrapper', None, None),
        ('CPUAmpOptimWrapper', 'float32', True),
        ('CPUAmpOptimWrapper', 'bfloat16', True),
        ('CPUAmpOptimWrapper', 'bfloat16', False),
    ]
    for model, optim_wrapper in built.values():
        assert optim_wrapper.clip_grad_kwargs == dict(max_norm=1)
        optimized = optim_wrapper.optimizer.param_groups[0]['params']
        assert optimized[0] is next(model.parameters())


def test_ratios_are_of_the_same_turn(tool):
    seconds = {'float32, stock': [1, 10, 2], 'bfloat16': [0.5, 2, 4]}
    *_, ours = tool.summarize(seconds, 4).splitlines()
    assert ours == '| bfloat16 | 2.0 (1.0 to 8.0) | 2.00 (0.50 to 5.00) |'


def test_other_models_are_refused(tool, tmp_path, capsys):
    config = Config.fromfile(STOCK)
    config.model.type = 'BottomupPoseEstimator'
    config.dump(tmp_path / 'bottom_up.py')
    assert tool.main([str(tmp_path / 'bottom_up.py'), *SMALLEST]) == 1
    assert 'but is a BottomupPoseEstimator' in capsys.readouterr().err


def test_missing_config(tool, capsys):
    assert tool.main(['gone.py', *SMALLEST]) == 1
    assert 'gone.py' in capsys.readouterr().err


@pytest.mark.parametrize('option', ['--batch-size', '--repeats', '--threads'])
def test_bad_options(tool, option, capsys):
    with pytest.raises(SystemExit) as info:
        tool.main([str(STOCK), option, '0'])
    assert info.value.code == 2
    assert f'{option} must be 1 or more' in capsys.readouterr().err
