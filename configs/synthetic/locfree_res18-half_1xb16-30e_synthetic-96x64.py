# The Location-Free model with a ResNet-18 of half width on synthetic people, taught by
# presence in four windows a person.
_base_ = ['./td-hm_res18-half_scratch_1xb16-30e_synthetic-96x64.py']

# codec settings
codec = dict(
    type='mmpose_pretext.PresenceLabel',
    input_size=(64, 96),
    heatmap_size=(16, 24),
    sigma=1)

# model settings
model = dict(
    backbone=dict(out_indices=(2, 3)),
    head=dict(
        _delete_=True,
        type='mmpose_pretext.LocationFreeHead',
        in_channels=[128, 256],
        deconv_out_channels=(64, 64, 64),
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        cam=dict(pooling='mass'),
        context=dict(),
        context_indices=(0, 1),
        prototypes=dict(),
        dims=64,
        decoder=codec))

# pipelines
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(
        type='mmpose_pretext.PresenceWindows', budget='windows', num_windows=4),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', rotate_factor=30, scale_factor=(0.75, 1.25)),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
# for PresenceAP, 16 windows that no training person has
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(
        type='mmpose_pretext.PresenceWindows',
        budget='windows',
        num_windows=16,
        seed=1,
        keep_locations=True),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]

# data loaders
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=val_pipeline))

# evaluators
val_evaluator = dict(
    metrics=[
        dict(
            type='CocoMetric',
            ann_file='data/synthetic/annotations/person_keypoints_val.json'),
        dict(type='PCKAccuracy', thr=0.1, prefix='pck@0.1'),
        dict(type='PCKAccuracy', thr=0.2, prefix='pck@0.2'),
        dict(type='mmpose_pretext.LeftRightConfusion'),
        dict(type='mmpose_pretext.PresenceAP'),
    ])
test_evaluator = val_evaluator
