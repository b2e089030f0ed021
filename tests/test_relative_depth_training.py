"""Pretraining by depth order, from a json to the metric."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmpose_pretext.datasets.mcpc_dataset import MCPC_KEYPOINTS

CODEC = dict(
    type='mmpose_pretext.RelativeDepthLabel',
    input_size=(64, 64),
    heatmap_size=(16, 16),
    sigma=1.0,
)


def write_people(folder):
    """Draw two images of discs, the smaller ones farther away, and their labels."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for image_id in range(2):
        picture = np.zeros((80, 80, 3), dtype=np.uint8)
        for radius, centre in ((12, (20, 25)), (4, (60, 20)), (8, (40, 60))):
            x, y = (int(v) for v in centre + rng.integers(-4, 5, 2))
            cv2.circle(picture, (x, y), radius, (255, 20 * radius, 99), -1)
            annotations.append(
                dict(
                    id=len(annotations),
                    image_id=image_id,
                    category_id=1,
                    iscrowd=0,
                    bbox=[x - radius, y - radius, 2 * radius, 2 * radius],
                    area=float(radius**2),
                    num_keypoints=19,
                    keypoints=[x, y, 2] * 19,
                    depth=40 / radius,
                )
            )
        first = annotations[-3]['id']
        pairs = [[first, first + 1, -1, 1.0], [first + 2, first, 1, 0.5]]
        cv2.imwrite(str(folder / f'{image_id}.png'), picture)
        images.append(
            dict(id=image_id, file_name=f'{image_id}.png', width=80, height=80)
            | dict(source='coco', pairs=pairs)
        )
    # a person without keypoints, where heatmaps learn nothing
    annotations.append(
        dict(
            annotations[0],
            id=99,
            bbox=[60, 60, 19, 19],
            num_keypoints=0,
            keypoints=[0] * 57,
        )
    )
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='person', keypoints=list(MCPC_KEYPOINTS))],
    )
    (folder / 'mcpc.json').write_text(json.dumps(content))


class Losses(Hook):
    """Keeps what the iterations give."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append({name: value.item() for name, value in outputs.items()})


def run_config(folder):
    dataset = dict(
        type='mmpose_pretext.MCPCDataset',
        ann_file='mcpc.json',
        data_root=str(folder),
        data_prefix=dict(img=''),
    )
    loader = dict(batch_size=2, num_workers=0)
    encode = dict(type='GenerateTarget', encoder=CODEC)
    train = [
        dict(type='LoadImage'),
        dict(
            type='BottomupRandomAffine',
            input_size=(64, 64),
            shift_factor=0.05,
            scale_factor=(0.9, 1.1),
            rotate_factor=10,
        ),
        dict(type='RandomFlip'),
        encode,
        dict(type='mmpose_pretext.BottomupPolygonMask'),
        dict(type='PackPoseInputs'),
    ]
    val = [
        dict(type='LoadImage'),
        dict(type='BottomupResize', input_size=(64, 64)),
        encode,
        dict(type='PackPoseInputs'),
    ]
    return Config(
        dict(
            default_scope='mmpose',
            work_dir=str(folder / 'work'),
            randomness=dict(seed=0),
            model=dict(
                type='BottomupPoseEstimator',
                data_preprocessor=dict(
                    type='PoseDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3
                ),
                backbone=dict(
                    type='ResNet',
                    depth=18,
                    num_stages=2,
                    strides=(1, 2),
                    dilations=(1, 1),
                    out_indices=(1,),
                ),
                head=dict(
                    type='mmpose_pretext.RelativeDepthHead',
                    in_channels=128,
                    out_channels=19,
                    deconv_out_channels=(32,),
                    deconv_kernel_sizes=(4,),
                    decoder=CODEC,
                ),
                test_cfg=dict(flip_test=True),
            ),
            train_dataloader=dict(
                loader,
                dataset=dict(dataset, pipeline=train),
                sampler=dict(type='DefaultSampler', shuffle=True),
            ),
            val_dataloader=dict(
                loader,
                dataset=dict(dataset, pipeline=val, test_mode=True),
                sampler=dict(type='DefaultSampler', shuffle=False),
            ),
            val_evaluator=dict(type='mmpose_pretext.RelativeDepthAccuracy'),
            train_cfg=dict(by_epoch=True, max_epochs=40, val_interval=40),
            val_cfg=dict(),
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
            default_hooks=dict(
                checkpoint=None, logger=dict(type='LoggerHook', interval=40)
            ),
            experiment_name='relative_depth',
        )
    )


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('people')
    write_people(folder)
    runner = Runner.from_cfg(run_config(folder))
    losses = Losses()
    runner.register_hook(losses)
    runner.train()
    return losses.seen, runner.val_loop.run()


def test_both_losses_fall(run):
    losses, _ = run
    assert set(losses[0]) == {'loss', 'loss_kpt', 'loss_depth', 'acc_depth'}
    for name in ('loss_kpt', 'loss_depth'):
        first, last = (
            np.mean([loss[name] for loss in part]) for part in (losses[:5], losses[-5:])
        )
        assert last < 0.7 * first


def test_the_metric_finds_the_order(run):
    _, metrics = run
    assert metrics == {
        'depth/label_accuracy': 1,
        'depth/accuracy': 1,
        'depth/accuracy/labelled': 1,
        'depth/accuracy/unlabelled': 1,
        'depth/accuracy/1-2': 1,
        'depth/accuracy/2-inf': 1,
    }
