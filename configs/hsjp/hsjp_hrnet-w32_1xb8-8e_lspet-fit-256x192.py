# HSJP pretraining of HRNet-W32 for the study (tools/benchmarks/lspet_hsjp.sh with
# NETWORK=hrnet-w32), as of its ResNet-18.
_base_ = ['./hsjp_hrnet-w32_1xb64-100e_lspet-256x192.py']

# runtime
train_cfg = dict(max_epochs=8, val_interval=2)
optim_wrapper = dict(optimizer=dict(fused=True))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=8, by_epoch=True, convert_to_iter_based=True)
]
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(checkpoint=dict(interval=1))

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', rotate_factor=40, scale_factor=(0.75, 1.25)),
    dict(type='TopdownAffine', input_size=_base_.codec['input_size']),
    dict(type='mmpose_pretext.JigsawShuffle', grid=_base_.codec['grid']),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='PackPoseInputs')
]

# data loaders
train_dataloader = dict(
    batch_size=8, dataset=dict(ann_file='lspet_fit.json', pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(ann_file='lspet_select.json', data_prefix=dict(img='train/')))
test_dataloader = val_dataloader
