# Integral pose regression with a ResNet-18 of half width, for tests.
_base_ = [
    '../wsp/benchmarks/integral-pose3d_res18_scratch_1xb8-6e_synthetic-128x128.py'
]

# runtime
train_cfg = dict(max_epochs=12, val_interval=4)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=12, by_epoch=True, convert_to_iter_based=True)
]

# codec settings
codec = dict(
    type='mmpose_pretext.IntegralPose3D',
    input_size=(64, 64),
    heatmap_size=(16, 16, 16))

# model settings
model = dict(
    backbone=dict(stem_channels=32, base_channels=32),
    head=dict(in_channels=256, deconv_out_channels=(64, 64, 64), decoder=codec))

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='mmpose_pretext.RandomFlip3D'),
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
dataset = dict(data_root='data/synthetic/')
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(pipeline=train_pipeline, **dataset))
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(pipeline=val_pipeline, **dataset))
test_dataloader = dict(
    batch_size=16,
    num_workers=2,
    dataset=dict(
        ann_file='annotations/person_keypoints_val.json',
        pipeline=val_pipeline,
        **dataset))
