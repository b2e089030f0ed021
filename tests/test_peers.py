"""Configs of MMPretrain: they train, and MMPose takes their backbones."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS

ROOT = Path(__file__).parents[1]
PEERS = {path.name.split('_')[0]: path for path in ROOT.glob('configs/peers/*.py')}
AVERAGES = dict(byol='target_net.module.0.', densecl='encoder_k.module.0.')
HSJP = str(ROOT / 'configs/hsjp/hsjp_res18_1xb32-8e_lspet-128x96.py')


@pytest.fixture
def mmpretrain():
    """Skip without MMPretrain, whose configs ours inherit."""
    reason = 'MMPretrain is not installed, see configs/peers/README.md'
    pytest.importorskip('mmpretrain', reason=reason)


@pytest.fixture(scope='module')
def crops(tmp_path_factory):
    """The crops of 10 people on 3 photographs, by the commands of the README."""
    folder = tmp_path_factory.mktemp('crops')
    data = folder / 'data' / 'lspet'
    data.joinpath('train').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(3):
        photograph = rng.integers(0, 256, (200, 240, 3), dtype=np.uint8)
        cv2.imwrite(str(data / f'train/{i}.png'), photograph)
    images = [dict(id=i, file_name=f'{i}.png', width=240, height=200) for i in range(3)]
    people = [
        dict(id=i, image_id=i % 3, category_id=1, bbox=[10 * i, 40, 50, 90])
        for i in range(10)
    ]
    content = json.dumps(dict(images=images, annotations=people))
    data.joinpath('lspet_train.json').write_text(content)

    text = (ROOT / 'configs/peers/README.md').read_text()
    block = re.search(r'^# 1\. .*?^EOF$', text, re.MULTILINE | re.DOTALL)[0]
    block = block.replace('tools/', f'{ROOT}/tools/')
    block = block.replace('python', sys.executable)
    subprocess.run(['bash', '-ec', block], cwd=folder, check=True, timeout=120)
    return folder / 'data' / 'lspet_crops'


def load_into_resnet18(checkpoint):
    """Return the tensors of MMPose's ResNet-18 as it starts from a checkpoint."""
    init_default_scope('mmpose')
    init_cfg = dict(type='mmpose_pretext.PretrainedBackbone', checkpoint=checkpoint)
    cfg = Config.fromfile(HSJP).model.backbone
    assert cfg.depth == 18
    backbone = MODELS.build(dict(cfg, init_cfg=init_cfg))
    backbone.init_weights()
    return backbone.state_dict()


def test_readme_makes_a_crop_of_each_person(crops):
    paths = sorted(crops.glob('train/*'))
    assert [path.name for path in paths] == [f'{i:09d}.jpg' for i in range(1, 11)]
    # the square of 1.25 * 90 pixels around the box, as far as the photograph goes
    height, width = cv2.imread(str(paths[3])).shape[:2]
    assert height == pytest.approx(112.5, abs=2)
    assert width == pytest.approx(55 + 112.5 / 2, abs=2)


@pytest.mark.parametrize('average', AVERAGES.values())
def test_extraction_takes_the_trained_network(average, tmp_path, load_tool):
    """Not the average beside it, which has the same names."""
    init_default_scope('mmpose')
    tensors = MODELS.build(dict(type='ResNet', depth=18)).state_dict()
    state = {f'backbone.{k}': torch.full_like(v, 3) for k, v in tensors.items()}
    state |= {f'{average}{k}': torch.full_like(v, 5) for k, v in tensors.items()}
    state[average.partition('.')[0] + '.steps'] = torch.tensor(8)
    source, out = str(tmp_path / 'epoch_8.pth'), str(tmp_path / 'backbone.pth')
    torch.save(dict(meta={}, state_dict=state), source)
    extract = load_tool('model_converters/extract_backbone.py').main
    for options, value in (([], 3), (['--force', '--prefix', average], 5)):
        extract([source, out, '--config', HSJP, *options])
        loaded = load_into_resnet18(out)
        assert loaded.keys() == tensors.keys()
        assert all((tensor == value).all() for tensor in loaded.values())


@pytest.mark.usefixtures('mmpretrain')
@pytest.mark.parametrize('name', PEERS)
def test_sees_what_hsjp_sees(name, crops):
    """Equally many crops, in views of the same size, which stretch nobody."""
    cfg = Config.fromfile(PEERS[name])
    hsjp = Config.fromfile(HSJP)
    assert cfg.train_cfg.max_epochs == hsjp.train_cfg.max_epochs
    assert cfg.param_scheduler[-1].get('end', cfg.param_scheduler[-1].T_max) == 8
    batch_size = hsjp.train_dataloader.batch_size
    assert cfg.train_dataloader.batch_size == batch_size
    assert cfg.auto_scale_lr.base_batch_size == batch_size
    assert cfg.model.get('queue_len', 0) % batch_size == 0

    init_default_scope('mmpretrain')
    dataset = DATASETS.build(dict(cfg.train_dataloader.dataset, data_root=str(crops)))
    assert len(dataset) == 10
    width, height = hsjp.codec.input_size
    for index in range(10):
        views = dataset[index]['inputs']
        assert [view.shape for view in views] == [(3, height, width)] * 2
        assert not torch.equal(*views)
    for pipeline in cfg.train_pipeline[1].transforms:
        low, high = pipeline[0].aspect_ratio_range
        assert low == high == width / height


@pytest.mark.usefixtures('mmpretrain')
@pytest.mark.parametrize('name', PEERS)
def test_trains_and_transfers(name, crops, tmp_path, load_tool):
    cfg = Config.fromfile(PEERS[name])
    cfg.work_dir = str(tmp_path)
    cfg.experiment_name = cfg.visualizer.name = f'test_peers_{name}'
    cfg.train_cfg.max_epochs = 2
    cfg.default_hooks.logger.interval = 1
    cfg.train_dataloader.update(batch_size=4, num_workers=0)
    cfg.train_dataloader.dataset.data_root = str(crops)
    runner = Runner.from_cfg(cfg)
    runner.train()
    (log,) = tmp_path.glob('*/vis_data/scalars.json')
    losses = [json.loads(line)['loss'] for line in log.read_text().splitlines()]
    assert len(losses) == 2 * (2 if name == 'densecl' else 3)
    assert np.isfinite(losses).all()

    out = str(tmp_path / 'backbone.pth')
    extract = load_tool('model_converters/extract_backbone.py').main
    extract([str(tmp_path / 'epoch_2.pth'), out, '--config', HSJP])
    trained = runner.model.backbone.state_dict()
    loaded = load_into_resnet18(out)
    assert loaded.keys() == trained.keys()
    assert all(torch.equal(loaded[key], trained[key]) for key in trained)
    if name in AVERAGES:
        average = runner.model.state_dict()[f'{AVERAGES[name]}conv1.weight']
        assert not torch.equal(average, trained['conv1.weight'])
    else:
        assert not any('module' in key for key in runner.model.state_dict())

    # on torch >= 2.6 too
    cfg.update(resume=True, load_from=str(tmp_path / 'epoch_1.pth'))
    cfg.experiment_name = cfg.visualizer.name = f'test_peers_{name}_resumed'
    resumed = Runner.from_cfg(cfg)
    resumed.train()
    again = resumed.model.backbone.state_dict()
    assert all(torch.equal(again[key], trained[key]) for key in trained)
