# CAM baseline: keypoints of CrowdPose from presence in
# four windows a person, ResNet-50.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/crowdpose/'
    'td-hm_res50_8xb64-210e_crowdpose-256x192.py'
]

# codec settings
codec = dict(
    type='mmpose_pretext.PresenceLabel',
    input_size=(192, 256),
    heatmap_size=(48, 64),
    sigma=2)

# model settings
model = dict(
    head=dict(
        _delete_=True,
        type='mmpose_pretext.LocationFreeHead',
        in_channels=[2048],
        metainfo=dict(from_file='configs/_base_/datasets/crowdpose.py'),
        cam=dict(pooling='topk'),
        decoder=codec))

# pipelines; RandomHalfBody would choose its crop by places
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(
        type='mmpose_pretext.PresenceWindows', budget='windows', num_windows=4),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]

# data loaders
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
