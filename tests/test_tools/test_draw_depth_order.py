import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.apis import init_model

from mmpose_pretext.synthetic import SceneConfig, make_dataset

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/synthetic/wsp_res18-half_1xb8-12e_synthetic-128x128.py'


@pytest.fixture
def tool(load_tool):
    return load_tool('visualizations/depth_order.py')


@pytest.fixture(scope='module')
def run(load_tool, tmp_path_factory):
    """The files of a configuration and of a network with random weights."""
    folder = tmp_path_factory.mktemp('wsp')
    scene = SceneConfig(image_size=(128, 128), people=(3, 5))
    annotations = make_dataset(folder, 4, scene, split='test', seed=1)
    label = load_tool('dataset_converters/label_relative_depth.py')
    argv = [str(annotations), str(folder / 'test.json'), '--filters']
    assert label.main(argv) == 0
    cfg = Config.fromfile(CONFIG)
    cfg.test_dataloader.update(batch_size=4, num_workers=0)
    cfg.test_dataloader.dataset.data_root = str(folder)
    cfg.work_dir = str(folder / 'work')
    cfg.dump(folder / 'wsp.py')
    torch.manual_seed(0)
    model = init_model(folder / 'wsp.py', device='cpu')
    torch.nn.init.normal_(model.head.depth_layer.weight)
    torch.save(dict(state_dict=model.state_dict()), folder / 'wsp.pth')
    return folder


def arguments(run, out, *options):
    files = [str(run / 'wsp.py'), str(run / 'wsp.pth')]
    return [*files, '--out', str(out), *options]


def test_pictures_of_the_test_set(tool, run, tmp_path, capsys):
    """As many pairs are right as the metric of the configuration says."""
    assert tool.main(arguments(run, tmp_path / 'new')) == 0
    *lines, last = capsys.readouterr().out.splitlines()[-5:]
    counts = [re.search(r'(\d+) of (\d+) pairs', line).groups() for line in lines]
    right, number = np.array(counts, dtype=int).sum(axis=0)
    assert last == f'all: {right} of {number} pairs are right'
    names = [f'{i}_test_{i:06d}.png' for i in range(4)]
    assert sorted(path.name for path in (tmp_path / 'new').iterdir()) == names
    assert cv2.imread(str(tmp_path / 'new' / names[0])).shape == (768, 768, 3)

    cfg = Config.fromfile(run / 'wsp.py')
    cfg.update(load_from=str(run / 'wsp.pth'), experiment_name='depth_order')
    metrics = Runner.from_cfg(cfg).test()
    assert metrics['depth/label_accuracy'] == pytest.approx(right / number)


def test_what_is_drawn(tool, run, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        tool, 'draw_depth_order', lambda *args: drawn.append(args) or args[0]
    )
    assert tool.main(arguments(run, tmp_path, '--num', '2')) == 0
    assert sorted(path.name[:1] for path in tmp_path.iterdir()) == ['0', '3']
    content = json.loads((run / 'test.json').read_text())
    for args, image_id in zip(drawn, (0, 3), strict=True):
        img, keypoints, visible, depths, pairs, relations, skeleton = args
        people = [a for a in content['annotations'] if a['image_id'] == image_id]
        labels = np.array([a['keypoints'] for a in people]).reshape(-1, 17, 3)
        seen = visible > 0
        assert seen.any()
        np.testing.assert_allclose(keypoints[seen], labels[seen][:, :2], atol=0.01)
        assert depths.shape == (len(people),)
        ids = [a['id'] for a in people]
        expected = content['images'][image_id]['pairs']
        assert [[ids[i], ids[j]] for i, j in pairs] == [p[:2] for p in expected]
        assert relations.tolist() == [p[2] for p in expected]
        assert img.shape == (128, 128, 3)
        assert len(skeleton) == 19


def test_mistakes(tool, run, tmp_path, capsys):
    config, checkpoint = arguments(run, tmp_path)[:2]

    def said(*options, files=(config, checkpoint)):
        assert tool.main([*files, '--out', str(tmp_path), *options]) == 1
        return capsys.readouterr().err

    (tmp_path / '0_test_000000.png').touch()
    assert '0_test_000000.png exists; --force overwrites it' in said()
    assert '--num must be 1 or more, but got 0' in said('--num', '0')
    assert 'none.pth does not exist' in said(files=[config, 'none.pth'])
    other = ROOT / 'configs/synthetic/hsjp_res18-half_1xb16-12e_synthetic-96x64.py'
    message = said(files=[str(other), checkpoint])
    assert 'has the head HeatmapHead' in message
    weights = torch.load(checkpoint)
    del weights['state_dict']['head.depth_layer.weight']
    torch.save(weights, tmp_path / 'less.pth')
    assert 'does not fit' in said(files=[config, str(tmp_path / 'less.pth')])

    cfg = Config.fromfile(config)
    content = json.loads((run / 'test.json').read_text())
    for image in content['images']:
        image['pairs'] = []
    (tmp_path / 'test.json').write_text(json.dumps(content))
    cfg.test_dataloader.dataset.data_root = str(tmp_path)
    cfg.dump(tmp_path / 'wsp.py')
    files = [str(tmp_path / 'wsp.py'), checkpoint]
    assert 'test.json has no labelled pair' in said(files=files)
    shutil.copy(run / 'test.json', tmp_path)
    assert 'test_000000.jpg' in said('--force', files=files)
