# SimpleBaseline with a ResNet-18 of half width on synthetic people (see tools/demo.sh),
# from random weights: small enough to train in a minute on two CPU cores.
_base_ = ['../hsjp/benchmarks/td-hm_res18_scratch_1xb32-14e_lspet-128x96.py']

# runtime
train_cfg = dict(max_epochs=30, val_interval=6)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=30, by_epoch=True, convert_to_iter_based=True)
]
default_hooks = dict(logger=dict(interval=10))

# codec settings
codec = dict(
    type='MSRAHeatmap', input_size=(64, 96), heatmap_size=(16, 24), sigma=1)

# model settings
model = dict(
    backbone=dict(stem_channels=32, base_channels=32),
    head=dict(
        in_channels=256,
        out_channels=17,
        deconv_out_channels=(64, 64, 64),
        decoder=codec))

# pipelines
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', rotate_factor=30, scale_factor=(0.75, 1.25)),
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
data_root = 'data/synthetic/'
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='annotations/person_keypoints_train.json',
        data_prefix=dict(img='images/'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        ann_file='annotations/person_keypoints_val.json',
        data_prefix=dict(img='images/'),
        pipeline=val_pipeline))
test_dataloader = val_dataloader

# evaluators
val_evaluator = dict(
    metrics=[
        dict(
            type='CocoMetric',
            ann_file=data_root + 'annotations/person_keypoints_val.json'),
        dict(type='PCKAccuracy', thr=0.1, prefix='pck@0.1'),
        dict(type='PCKAccuracy', thr=0.2, prefix='pck@0.2'),
    ])
test_evaluator = val_evaluator
