"""Poses in camera space, from files in the formats of the field to the metrics."""

import json
import os
import pickle
import re
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
    CENTRE,
    FOCAL,
    muco_person,
    pose,
    write_h36m,
    write_muco,
    write_mupots,
)

from mmpose_pretext.datasets.human36m_image_dataset import SUBJECTS
from mmpose_pretext.synthetic import SceneConfig, make_dataset

ROOT = Path(__file__).parents[1]

SYNTHETIC = (
    ROOT / 'configs/synthetic/integral-pose3d_res18-half_1xb16-12e_synthetic-64x64.py'
)
LIFTER = ROOT / 'configs/synthetic/image-pose-lift_tcn_1xb64-20e_synthetic.py'
ROOT_METRICS = {'root_depth_error'} | {  # if it is predicted
    f'{name}_true_root_depth' for name in ('MPJPE', 'xy_error', 'z_error')
}
EVALUATED = 'val', 'test'
METRICS = {'MPJPE', 'PA-MPJPE', '3DPCK', 'AUC', 'left_right_order', *ROOT_METRICS}


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


def tiny(path, folder):
    """Load a config of two epochs of small batches of the data in the folder."""
    cfg = Config.fromfile(path)
    cfg.train_cfg.update(max_epochs=2, val_interval=2)
    cfg.work_dir = str(folder / 'work')
    cfg.default_hooks.logger.interval = 1
    cfg.experiment_name = cfg.visualizer.name = f'{Path(path).stem}_{folder.name}'
    for name in ('train', 'val', 'test'):
        loader = cfg[f'{name}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(folder)
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


def write_human36m(folder):
    """Make files as preprocess_h36m.py writes them, of all subjects, with images."""
    folder = folder / 'data/h36m'
    annotations = folder / 'annotation_body3d'
    (annotations / 'fps50').mkdir(parents=True)
    actions = dict(train=['Directions_1'], test=['SittingDown', 'Eating'])
    cameras = {}
    for split, names in SUBJECTS.items():
        files = [
            f'{subject}/{subject}_{action}.54138969/'
            f'{subject}_{action}.54138969_{frame:06d}.jpg'
            for subject in names
            for action in actions[split]
            for frame in (1, 2, 6)
        ]
        draw_images(folder / 'images', files)
        write_h36m(annotations, files, {})
        (annotations / 'h36m.npz').rename(annotations / f'fps50/h36m_{split}.npz')
        cameras |= {
            (subject, '54138969'): dict(f=np.array(FOCAL), c=np.array(CENTRE))
            for subject in names
        }
    (annotations / 'cameras.pkl').write_bytes(pickle.dumps(cameras))
    return ['MPJPE/Eating', 'PA-MPJPE/SittingDown'], []


def link_human36m(folder):
    """The real annotations, for training and for tests, with made images."""
    real = Path(os.environ['PRETEXT_DATA']).resolve() / 'fixtures/h36m'
    annotations = folder / 'data/h36m/annotation_body3d'
    (annotations / 'fps50').mkdir(parents=True)
    (annotations / 'cameras.pkl').symlink_to(real / 'cameras.pkl')
    for split in ('train', 'test'):
        (annotations / f'fps50/h36m_{split}.npz').symlink_to(
            real / 'test_h36m_body3d.npz'
        )
    names = np.load(real / 'test_h36m_body3d.npz')['imgname']
    draw_images(folder / 'data/h36m/images', names, size=1000)
    options = ['train_dataloader.dataset.subjects=[S1,S5]']
    options += [f'{split}_dataloader.dataset.subjects=[S7,S8]' for split in EVALUATED]
    return ['MPJPE/Greeting', 'PA-MPJPE/WalkDog'], options


def write_muco_and_mupots(folder):
    """Make files as Moon et al. publish them, with images."""
    (folder / 'data/muco').mkdir(parents=True)
    (folder / 'data/mupots').mkdir()
    draw_images(folder / 'data/muco', [f'augmented_set/{i}.jpg' for i in (1, 2)])
    draw_images(folder / 'data/mupots', ['MultiPersonTestSet/TS1/img_000001.jpg'])
    people = [muco_person(i, i, pose(21, seed=i)) for i in (1, 2)]
    write_muco(folder / 'data/muco/MuCo-3DHP.json', *people)
    people = [muco_person(1, 1, pose(17), is_valid=1)]
    write_mupots(folder / 'data/mupots/MuPoTS-3D.json', *people)
    return ['MPJPE/TS1', '3DPCK/TS1'], []


def mim(command, folder, *args):
    """Run MIM on MMPose, as a user does."""
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'mim', command, 'mmpose', *args],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize(
    ('data', 'write'),
    [
        (
            'h36m',
            link_human36m if os.environ.get('PRETEXT_DATA') else write_human36m,
        ),
        ('muco', write_muco_and_mupots),
    ],
)
def test_configs_of_the_field_by_mim(tmp_path, data, write):
    """The configs as they are, but for length and batch, on data/ where they say."""
    names, options = write(tmp_path)
    name = f'integral-pose3d_res50_scratch_8xb32-25e_{data}-256x256.py'
    config = str(ROOT / 'configs/wsp/benchmarks' / name)
    options += ['train_cfg.max_epochs=1', 'train_dataloader.batch_size=8']
    options += [f'{s}_dataloader.num_workers=0' for s in ('train', *EVALUATED)]
    common = '--gpus', '0', '--launcher', 'none', '--work-dir', 'work'
    common = config, *common, '--cfg-options', *options
    mim('train', tmp_path, *common)
    output = mim('test', tmp_path, *common, '--checkpoint', 'work/epoch_1.pth')
    for name in (*METRICS, *names):
        assert re.search(rf'pose3d/{name}: \d', output), name


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
