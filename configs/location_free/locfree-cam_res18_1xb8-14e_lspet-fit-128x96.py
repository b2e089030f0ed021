# CAM baseline: keypoints of Leeds Sports Pose Extended from presence in four windows a
# person, ResNet-18, on the 90 % of its training images in lspet_fit.json.
_base_ = ['../hsjp/benchmarks/td-hm_res18_scratch_1xb8-14e_lspet-fit-128x96.py']

# codec settings
codec = dict(
    type='mmpose_pretext.PresenceLabel',
    input_size=(96, 128),
    heatmap_size=(24, 32),
    sigma=1.5)

# model settings
model = dict(
    head=dict(
        _delete_=True,
        type='mmpose_pretext.LocationFreeHead',
        in_channels=[512],
        metainfo=dict(from_file='configs/_base_/datasets/crowdpose.py'),
        cam=dict(pooling='topk'),
        decoder=codec))

# pipelines
presence = dict(
    type='mmpose_pretext.PresenceWindows', budget='windows', num_windows=4)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    presence,
    dict(type='RandomFlip', direction='horizontal'),
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
        dict(type='PCKAccuracy', thr=0.1, prefix='pck@0.1'),
        dict(type='PCKAccuracy', thr=0.2, prefix='pck@0.2'),
        dict(type='mmpose_pretext.LeftRightConfusion'),
        dict(type='mmpose_pretext.PresenceAP'),
    ])
test_evaluator = val_evaluator
