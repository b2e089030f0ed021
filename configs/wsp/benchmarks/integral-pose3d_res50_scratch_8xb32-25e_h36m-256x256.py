# Integral pose regression from images of Human3.6M, from random weights. Schedule,
# crops and depth range are those of Moon et al., 2019 (arXiv 1907.11346).
_base_ = ['mmpose::_base_/default_runtime.py']

# runtime
train_cfg = dict(max_epochs=25, val_interval=5)
randomness = dict(seed=0)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(
        type='MultiStepLR',
        begin=0,
        end=25,
        milestones=[17, 21],
        gamma=0.1,
        by_epoch=True)
]
auto_scale_lr = dict(base_batch_size=256)

# hooks
default_hooks = dict(
    checkpoint=dict(save_best='pose3d/MPJPE', rule='less', max_keep_ckpts=2))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='mmpose_pretext.EpochSeedHook'),
]

# codec settings
codec = dict(
    type='mmpose_pretext.IntegralPose3D',
    input_size=(256, 256),
    heatmap_size=(64, 64, 64))

# model settings
model = dict(
    type='mmpose_pretext.TopdownPose3DEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='ResNet',
        depth=50,
        init_cfg=[
            dict(type='Kaiming', layer=['Conv2d']),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ]),
    head=dict(
        type='mmpose_pretext.IntegralPose3DHead',
        in_channels=2048,
        num_keypoints=17,
        root_depth=True,
        decoder=codec),
    test_cfg=dict(flip_test=True, root_depth='predicted'))

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='mmpose_pretext.RandomFlip3D'),
    dict(
        type='RandomBBoxTransform',
        shift_factor=0.0,
        rotate_factor=60,
        rotate_prob=0.6,
        scale_factor=(0.75, 1.25)),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs')
]

# data loaders: frames of 50 a second, as of MMPose's preprocess_h36m.py --sample-rate 1
dataset = dict(
    type='mmpose_pretext.Human36mImageDataset',
    data_root='data/h36m/',
    camera_param_file='annotation_body3d/cameras.pkl',
    data_prefix=dict(img='images/'))
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=False,  # EpochSeedHook seeds the workers of every epoch
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        ann_file='annotation_body3d/fps50/h36m_train.npz',
        subjects='train',
        frame_step=5,
        pipeline=train_pipeline,
        **dataset))
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        ann_file='annotation_body3d/fps50/h36m_test.npz',
        subjects='test',
        frame_step=64,
        test_mode=True,
        pipeline=val_pipeline,
        **dataset))
test_dataloader = val_dataloader

# evaluators
val_evaluator = dict(type='mmpose_pretext.RootAlignedPose3D', by_action=True)
test_evaluator = val_evaluator
