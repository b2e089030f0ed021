import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmpose_pretext.synthetic import SceneConfig, make_dataset

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/synthetic/wsp_res18-half_1xb8-12e_synthetic-128x128.py'


@pytest.fixture
def tool(load_tool):
    load_tool('benchmarks/results.py')
    load_tool('benchmarks/label_efficiency.py')
    return load_tool('benchmarks/scale_rule.py')


@pytest.fixture
def config(load_tool, tmp_path):
    """A config whose test set has five images of people with labels."""
    scene = SceneConfig(image_size=(128, 128), people=(3, 5))
    annotations = make_dataset(tmp_path, 5, scene, split='test', seed=1)
    label = load_tool('dataset_converters/label_relative_depth.py')
    assert label.main([str(annotations), str(tmp_path / 'test.json'), '--filters']) == 0
    cfg = Config.fromfile(CONFIG)
    cfg.test_dataloader.dataset.data_root = str(tmp_path)
    cfg.dump(tmp_path / 'wsp.py')
    return tmp_path / 'wsp.py'


def higher(person):
    """Where the lowest keypoint is, upwards, if an ankle is visible."""
    points = np.reshape(person['keypoints'], (17, 3))
    ankles = points[15:, 2] > 0
    return -points[points[:, 2] > 0, 1].max() if ankles.any() else np.nan


@pytest.mark.parametrize(
    ('cue', 'depth'),
    [('scale', lambda person: -(person['scale'] or np.nan)), ('ground', higher)],
)
def test_all_pairs_by_hand(tool, config, cue, depth):
    out = config.with_name('rule.json')
    assert tool.main([str(config), str(out), '--cue', cue]) == 0
    metrics = json.loads(out.read_text())['metrics']
    content = json.loads(config.with_name('test.json').read_text())
    right, labelled = [], []
    for image in content['images']:
        pairs = {frozenset(pair[:2]) for pair in image['pairs']}
        people = [
            person
            for person in content['annotations']
            if person['image_id'] == image['id'] and person['num_keypoints']
        ]
        for i, one in enumerate(people):
            for two in people[:i]:
                gap = one['depth'] - two['depth']
                right.append(gap * (depth(one) - depth(two)) > 0)
                labelled.append({one['id'], two['id']} in pairs)
    right, labelled = np.array(right), np.array(labelled)
    assert len(right) > 10
    assert metrics['depth/accuracy'] == pytest.approx(right.mean())
    unlabelled = right[~labelled].mean()
    assert metrics['depth/accuracy/unlabelled'] == pytest.approx(unlabelled)
    assert metrics['depth/accuracy/labelled'] == pytest.approx(right[labelled].mean())


def test_refused(tool, config, capsys):
    out = config.with_name('mine.json')
    out.write_text('mine')
    assert tool.main([str(config), str(out)]) == 1
    assert '--force' in capsys.readouterr().err
    assert out.read_text() == 'mine'
    content = json.loads(config.with_name('test.json').read_text())
    for person in content['annotations']:
        del person['scale']
    config.with_name('test.json').write_text(json.dumps(content))
    assert tool.main([str(config), str(out), '--force']) == 1
    assert 'have no scale' in capsys.readouterr().err
