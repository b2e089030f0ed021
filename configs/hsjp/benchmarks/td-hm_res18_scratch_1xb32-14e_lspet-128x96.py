# SimpleBaseline with ResNet-18 on Leeds Sports Pose Extended, in CrowdPose's keypoint
# order (see tools/dataset_converters/convert_lspet.py), from random weights.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/crowdpose/'
    'td-hm_res50_8xb64-210e_crowdpose-256x192.py'
]

# runtime
train_cfg = dict(max_epochs=14, val_interval=2)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=14, by_epoch=True, convert_to_iter_based=True)
]
auto_scale_lr = dict(base_batch_size=32)
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=2, save_best=None, rule=None))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='mmpose_pretext.EpochSeedHook'),
]
randomness = dict(seed=0)

# codec settings
codec = dict(
    type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=1.5)

# model settings
model = dict(
    backbone=dict(
        depth=18,
        init_cfg=[
            dict(type='Kaiming', layer=['Conv2d']),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ]),
    head=dict(in_channels=512, decoder=codec))

# pipelines
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody'),
    # milder than the stock 80 degrees and 0.5 to 1.5, which suit 210 epochs
    dict(type='RandomBBoxTransform', rotate_factor=40, scale_factor=(0.75, 1.25)),
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

# data loaders
data_root = 'data/lspet/'
train_dataloader = dict(
    batch_size=32,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='lspet_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline))
val_dataloader = dict(
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='lspet_val.json',
        bbox_file=None,
        data_prefix=dict(img='val/'),
        pipeline=val_pipeline))
test_dataloader = val_dataloader

# evaluators: errors below 0.1 and 0.2 of the longer side of the box
val_evaluator = dict(
    _delete_=True,
    type='Evaluator',
    metrics=[
        dict(type='PCKAccuracy', thr=0.1, prefix='pck@0.1'),
        dict(type='PCKAccuracy', thr=0.2, prefix='pck@0.2'),
    ])
test_evaluator = val_evaluator
