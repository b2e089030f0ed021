# WSP pretraining of HRNet-W32 on MCPC: heatmaps, and the depth order of people.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py'
]

# runtime
train_cfg = dict(max_epochs=100)
randomness = dict(seed=0)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(
        type='MultiStepLR',
        begin=0,
        end=100,
        milestones=[70, 90],
        gamma=0.1,
        by_epoch=True)
]
auto_scale_lr = dict(base_batch_size=128)

# hooks
default_hooks = dict(checkpoint=dict(save_best='depth/label_accuracy'))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='mmpose_pretext.EpochSeedHook'),
]

# codec settings
codec = dict(
    type='mmpose_pretext.RelativeDepthLabel',
    input_size=(512, 512),
    heatmap_size=(128, 128),
    sigma=2)

# model settings
model = dict(
    type='BottomupPoseEstimator',
    head=dict(
        type='mmpose_pretext.RelativeDepthHead',
        out_channels=19,
        # the mean over mostly empty maps is below 0.01, the ranking loss starts at 0.7
        # times the mean confidence: so both begin at a few tenths
        loss=dict(loss_weight=100.0),
        depth_loss=dict(type='mmpose_pretext.RelativeDepthLoss', loss_weight=1.0),
        decoder=codec))

# pipelines; scale_type 'long' keeps the whole image in view, as in validation
train_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='BottomupRandomAffine',
        input_size=codec['input_size'],
        scale_type='long'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='mmpose_pretext.BottomupPolygonMask'),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='BottomupResize', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]

# data loaders
train_dataloader = dict(
    batch_size=16,
    persistent_workers=False,  # EpochSeedHook seeds the workers of every epoch
    dataset=dict(
        _delete_=True,
        type='mmpose_pretext.MCPCDataset',
        data_root='data/',
        ann_file='mcpc/mcpc_train.json',
        data_prefix=dict(img=''),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    dataset=dict(
        _delete_=True,
        type='mmpose_pretext.MCPCDataset',
        data_root='data/',
        ann_file='mcpc/mcpc_val.json',
        data_prefix=dict(img=''),
        test_mode=True,
        pipeline=val_pipeline))
test_dataloader = val_dataloader

# evaluators
val_evaluator = dict(_delete_=True, type='mmpose_pretext.RelativeDepthAccuracy')
test_evaluator = val_evaluator
