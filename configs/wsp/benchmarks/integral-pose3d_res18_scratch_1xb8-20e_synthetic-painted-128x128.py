# Whether poses are learned at all: people who stand alone before nothing, and every part
# of whom has its colour. Left and right as well, so there are no flips.
_base_ = ['./integral-pose3d_res18_scratch_1xb8-6e_synthetic-plain-128x128.py']

# runtime
train_cfg = dict(max_epochs=20, val_interval=2)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=20, by_epoch=True, convert_to_iter_based=True)
]

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=(128, 128)),
    dict(type='GenerateTarget', encoder={{_base_.codec}}),
    dict(type='PackPoseInputs')
]

# data loaders
dataset = dict(data_root='data/synthetic_painted/')
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **dataset))
val_dataloader = dict(dataset=dict(**dataset))
test_dataloader = dict(dataset=dict(**dataset))
