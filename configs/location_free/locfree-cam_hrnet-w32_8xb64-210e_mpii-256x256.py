# CAM baseline: keypoints of MPII from presence in
# four windows a person, HRNet-W32.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/mpii/'
    'td-hm_hrnet-w32_8xb64-210e_mpii-256x256.py'
]

# codec settings
codec = dict(
    type='mmpose_pretext.PresenceLabel',
    input_size=(256, 256),
    heatmap_size=(64, 64),
    sigma=2)

# model settings
model = dict(
    head=dict(
        _delete_=True,
        type='mmpose_pretext.LocationFreeHead',
        in_channels=[32],
        deconv_out_channels=None,
        metainfo=dict(from_file='configs/_base_/datasets/mpii.py'),
        cam=dict(pooling='topk'),
        decoder=codec))

# pipelines; RandomHalfBody would choose its crop by places
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(
        type='mmpose_pretext.PresenceWindows', budget='windows', num_windows=4),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', shift_prob=0),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]

# data loaders
train_dataloader = dict(
    batch_size=64,  # as the name says; the stock config has 16
    dataset=dict(pipeline=train_pipeline))
