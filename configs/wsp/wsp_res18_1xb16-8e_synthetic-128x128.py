# The same at a quarter of the arithmetic.
_base_ = ['./wsp_res18_1xb16-10e_synthetic-256x256.py']

# runtime
train_cfg = dict(max_epochs=8, val_interval=2)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=8, by_epoch=True, convert_to_iter_based=True)
]

# codec settings
codec = dict(
    type='mmpose_pretext.RelativeDepthLabel',
    input_size=(128, 128),
    heatmap_size=(32, 32),
    sigma=1)

# model settings
model = dict(head=dict(decoder=codec))

# pipelines
train_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='BottomupRandomAffine',
        input_size=codec['input_size'],
        shift_factor=0.1,
        scale_factor=(0.8, 1.25),
        rotate_factor=10),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='BottomupResize', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]

# data loaders
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
