from pathlib import Path

import pytest
from mmengine.config import Config

CONFIGS = Path(__file__).parents[2] / 'configs' / 'synthetic'
STOCK = CONFIGS / 'td-hm_res18-half_scratch_1xb16-30e_synthetic-96x64.py'
LOCFREE = CONFIGS / 'locfree_res18-half_1xb16-30e_synthetic-96x64.py'


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('benchmarks/model_speed.py')


@pytest.mark.parametrize('amp', [[], ['--amp']])
def test_table(tool, capsys, amp):
    configs = [str(STOCK), str(LOCFREE)]
    assert tool.main([*configs, '--batch-size', '2', '--repeats', '1', *amp]) == 0
    printed = capsys.readouterr().out
    rows = [line.split(' | ') for line in printed.splitlines() if line.startswith('|')]
    assert rows[0][1:3] == ['training step', 'inference']
    assert [row[0] for row in rows[2:]] == [f'| {p.stem}' for p in (STOCK, LOCFREE)]
    assert rows[2][1:3] == ['1.00 (1.00 to 1.00)'] * 2
    assert float(rows[2][3]) < float(rows[3][3])  # parameters
    assert ('float16. ' if amp else 'float32. ') in printed


def test_saved_bytes_grow_with_the_batch(tool):
    configs = dict(stock=Config.fromfile(STOCK))
    sizes = [tool.measure(configs, n, 1)['stock']['saved'] for n in (2, 4)]
    parameters = 4 * tool.measure(configs, 2, 1)['stock']['parameters']
    assert parameters / 2 < sizes[0] < sizes[1] < 2 * sizes[0]


def test_other_models_are_refused(tool, tmp_path, capsys):
    cfg = Config.fromfile(STOCK)
    cfg.model.type = 'BottomupPoseEstimator'
    cfg.dump(tmp_path / 'other.py')
    assert tool.main([str(tmp_path / 'other.py')]) == 1
    assert 'the model of other must be a Topdown' in capsys.readouterr().err
