# The same on people who stand alone before nothing: whether poses are learned at all.
# There are more images in the place of augmentation.
_base_ = ['./integral-pose3d_res18_scratch_1xb32-20e_synthetic-128x128.py']

# runtime
train_cfg = dict(max_epochs=6, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=5e-4, fused=True))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=6, by_epoch=True, convert_to_iter_based=True)
]
auto_scale_lr = dict(base_batch_size=8)

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='mmpose_pretext.RandomFlip3D'),
    dict(type='TopdownAffine', input_size=(128, 128)),
    dict(type='GenerateTarget', encoder={{_base_.codec}}),
    dict(type='PackPoseInputs')
]

# data loaders
train_dataloader = dict(
    batch_size=8,
    dataset=dict(data_root='data/synthetic_plain/', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root='data/synthetic_plain/'))
test_dataloader = dict(dataset=dict(data_root='data/synthetic_plain/'))
