"""Poses in camera space, from files in the formats of the field to the metrics."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.apis import inference_topdown, init_model
from pose_3d_files import (
    H36M_NAMES,
    muco_person,
    pose,
    write_h36m,
    write_muco,
    write_mupots,
)

from mmpose_pretext.synthetic import SceneConfig, make_dataset

ROOT = Path(__file__).parents[1]

SYNTHETIC = (
    ROOT / 'configs/synthetic/integral-pose3d_res18-half_1xb16-12e_synthetic-64x64.py'
)
LIFTER = ROOT / 'configs/synthetic/image-pose-lift_tcn_1xb64-20e_synthetic.py'
ROOT_METRICS = {'root_depth_error', 'MPJPE_true_root_depth'}  # if it is predicted
METRICS = {'MPJPE', 'PA-MPJPE', '3DPCK', 'AUC', *ROOT_METRICS}


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpose')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two sets of synthetic people, the first in the layout of Human3.6M as well."""
    folder = tmp_path_factory.mktemp('people')
    for split in ('train', 'val'):
        make_dataset(folder, 4, SceneConfig((96, 96), (1, 2)), split=split)
    return folder


def tiny(path, folder, **loaders):
    """Load a config of two epochs of small batches; loaders replace datasets."""
    cfg = Config.fromfile(path)
    cfg.train_cfg.update(max_epochs=2, val_interval=2)
    cfg.work_dir = str(folder / 'work')
    cfg.default_hooks.logger.interval = 1
    cfg.experiment_name = cfg.visualizer.name = f'{Path(path).stem}_{folder.name}'
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        dataset = loaders.get(name, dict(data_root=str(folder)))
        if 'type' in dataset:
            loader.dataset = dict(dataset, pipeline=loader.dataset.pipeline)
        else:
            loader.dataset.update(dataset)
    return cfg


def draw_images(folder, names, size=100):
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        img = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        assert cv2.imwrite(str(folder / name), img)


def test_synthetic_people(folder, tmp_path):
    cfg = tiny(SYNTHETIC, folder)
    cfg.work_dir = str(tmp_path)
    cfg.val_evaluator.update(by_action=True, by_joint=True)
    runner = Runner.from_cfg(cfg)
    runner.train()
    metrics = runner.val_loop.run()
    assert {f'pose3d/{name}' for name in METRICS} <= set(metrics)
    assert np.isfinite([*metrics.values()]).all()
    assert 'pose3d/MPJPE/left_knee' in metrics
    log = (tmp_path / f'{runner.timestamp}/vis_data/scalars.json').read_text()
    losses = [json.loads(line) for line in log.splitlines()]
    assert {'loss_kpt', 'loss_root_depth'} <= set(losses[0])


def test_image_without_annotations(folder):
    """MMPose's inference on a photograph needs a focal length that is made up."""
    model = init_model(Config.fromfile(SYNTHETIC), device='cpu')
    image = str(next((folder / 'images').iterdir()))
    with pytest.raises(ValueError, match='an image has no intrinsics'):
        inference_topdown(model, cv2.imread(image))
    model.test_cfg.fallback_focal = 200.0
    (from_file,) = inference_topdown(model, image)
    boxes = [[0, 0, 96, 96], [10, 10, 60, 90]]
    from_array, other = inference_topdown(model, cv2.imread(image), boxes)
    poses = [s.pred_instances.keypoints for s in (from_file, from_array, other)]
    assert poses[0].shape == (1, 17, 3)
    np.testing.assert_allclose(poses[1], poses[0], rtol=1e-4)
    assert not np.allclose(poses[2], poses[0])


def test_2d_only_data_is_mixed_in(folder):
    """COCO's keypoints of the same people, as a set without depth."""
    cfg = tiny(SYNTHETIC, folder)
    three_d = cfg.train_dataloader.dataset
    converter = dict(
        type='KeypointConverter',
        num_keypoints=17,
        mapping=[
            ((11, 12), 0), (12, 1), (14, 2), (16, 3), (11, 4), (13, 5), (15, 6),
            ((5, 6), 8), (5, 11), (7, 12), (9, 13), (6, 14), (8, 15), (10, 16),
        ],
    )  # fmt: skip
    two_d = dict(
        type='CocoDataset',
        data_root=str(folder),
        ann_file='annotations/person_keypoints_val.json',
        data_prefix=dict(img='images/'),
        pipeline=[converter],
    )
    cfg.train_dataloader.dataset = dict(
        type='CombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/h36m.py'),
        datasets=[dict(three_d, pipeline=[]), two_d],
        pipeline=three_d.pipeline,
    )
    dataset = Runner.build_dataloader(cfg.train_dataloader).dataset
    samples = [dataset[i]['data_samples'] for i in range(len(dataset))]
    labels = [sample.gt_instance_labels for sample in samples]
    depth = [bool(label.keypoint_weights[..., 2].any()) for label in labels]
    first = len(dataset.datasets[0])
    assert depth == [True] * first + [False] * (len(dataset) - first)
    assert all(label.keypoint_weights[..., :2].any() for label in labels)
    runner = Runner.from_cfg(cfg)
    runner.train()


def test_muco_and_mupots(tmp_path):
    draw_images(tmp_path, ['augmented_set/1.jpg', 'augmented_set/2.jpg'])
    draw_images(tmp_path, ['TS1/img_000001.jpg'])
    people = [muco_person(i, i, pose(21, seed=i)) for i in (1, 2)]
    write_muco(tmp_path / 'muco.json', *people)
    people = [muco_person(1, 1, pose(17), is_valid=1)]
    write_mupots(tmp_path / 'mupots.json', *people)
    common = dict(data_root=str(tmp_path), data_prefix=dict(img=''))
    test = dict(
        type='mmpose_pretext.MuPoTS3DDataset',
        ann_file='mupots.json',
        test_mode=True,
        **common,
    )
    train = dict(type='mmpose_pretext.MuCo3DHPDataset', ann_file='muco.json', **common)
    cfg = tiny(SYNTHETIC, tmp_path, train=train, val=test, test=test)
    cfg.model.head.decoder.root_index = 14
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.update(root_index=14, by_action=True)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for transform in loader.dataset.pipeline:
            if transform.type == 'GenerateTarget':
                transform.encoder.root_index = 14
    runner = Runner.from_cfg(cfg)
    runner.train()
    metrics = runner.test()
    assert np.isfinite(metrics['pose3d/MPJPE/TS1'])
    assert metrics['pose3d/MPJPE/TS1'] == metrics['pose3d/MPJPE']


def human36m_config(folder, ann_file, camera_param_file, train, test):
    """Load a config of Human3.6M, whose images are in the folder."""
    common = dict(
        type='mmpose_pretext.Human36mImageDataset',
        ann_file=str(ann_file),
        camera_param_file=str(camera_param_file),
        data_root=str(folder),
        data_prefix=dict(img='images/'),
    )
    train, test = (
        dict(common, subjects=train),
        dict(common, subjects=test, test_mode=True),
    )
    cfg = tiny(SYNTHETIC, folder, train=train, val=test, test=test)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.by_action = True
    return cfg


@pytest.fixture(scope='module')
def human36m(tmp_path_factory):
    """A config of training on S1 and testing on S9 and S11, of made files."""
    folder = tmp_path_factory.mktemp('h36m')
    write_h36m(folder)
    draw_images(folder / 'images', H36M_NAMES)
    cfg = human36m_config(folder, 'h36m.npz', 'cameras.pkl', ['S1'], 'test')
    cfg.dump(folder / 'h36m.py')
    return folder


@pytest.mark.skipif(not os.environ.get('PRETEXT_DATA'), reason='wants PRETEXT_DATA')
def test_real_annotations_of_human36m(tmp_path):
    real = Path(os.environ['PRETEXT_DATA']).resolve() / 'fixtures/h36m'
    names = np.load(real / 'test_h36m_body3d.npz')['imgname']
    draw_images(tmp_path / 'images', names, size=1000)
    files = real / 'test_h36m_body3d.npz', real / 'cameras.pkl'
    runner = Runner.from_cfg(
        human36m_config(tmp_path, *files, ['S1', 'S5'], ['S7', 'S8'])
    )
    runner.train()
    metrics = runner.test()
    assert np.isfinite([*metrics.values()]).all()
    assert {'pose3d/MPJPE/Greeting', 'pose3d/MPJPE/WalkDog'} <= set(metrics)


def mim(command, folder, *args):
    """Run MIM on MMPose, as a user does."""
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'mim', command, 'mmpose', 'h36m.py']
        + [*args, '--gpus', '0'],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_human36m_by_mim(human36m):
    mim('train', human36m, '--launcher', 'none', '--work-dir', 'work')
    output = mim('test', human36m, '--checkpoint', 'work/epoch_2.pth')
    for name in (*METRICS, 'MPJPE/Eating', 'PA-MPJPE/SittingDown'):
        assert f'pose3d/{name}: ' in output


def test_stock_lifter(folder, load_tool, tmp_path):
    """MMPose's lifter, its dataset and our metric, on the same people."""
    tool = load_tool('dataset_converters/synthetic_to_h36m.py')
    for split in ('train', 'val'):
        source = folder / f'annotations/person_keypoints_{split}.json'
        assert tool.main([str(source), str(tmp_path / f'{split}.npz')]) == 0
    cfg = tiny(LIFTER, tmp_path)
    cfg.test_dataloader.dataset.ann_file = 'val.npz'
    runner = Runner.from_cfg(cfg)
    runner.train()
    metrics = runner.test()
    assert {f'pose3d/{name}' for name in METRICS - ROOT_METRICS} == set(metrics)
    assert 0 < metrics['pose3d/PA-MPJPE'] < metrics['pose3d/MPJPE'] < 2000
