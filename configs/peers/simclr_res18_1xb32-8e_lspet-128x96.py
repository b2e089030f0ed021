# SimCLR of MMPretrain on the person crops of Leeds Sports Pose Extended; see README.md.
_base_ = 'mmpretrain::simclr/simclr_resnet50_8xb32-coslr-200e_in1k.py'

# runtime
train_cfg = dict(max_epochs=8)
# linear scaling of the parent's 0.3 at batch 256; LARS is for large batches
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.0375, momentum=0.9, weight_decay=1e-6))
auto_scale_lr = dict(base_batch_size=32)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-4, by_epoch=True, begin=0, end=1,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR', T_max=7, by_epoch=True, begin=1, end=8,
        convert_to_iter_based=True)
]
default_hooks = dict(
    logger=dict(interval=50), checkpoint=dict(interval=1, max_keep_ckpts=2))
# it also imports the package, which lets MMEngine resume on torch >= 2.6
custom_hooks = [dict(type='mmpose_pretext.EpochSeedHook')]
randomness = dict(seed=0)

# model settings: BN is SyncBN on one GPU, and runs without any
model = dict(
    backbone=dict(depth=18, norm_cfg=dict(type='BN')),
    neck=dict(in_channels=512, hid_channels=512, norm_cfg=dict(type='BN1d')))

# pipeline
view_pipeline = [
    dict(
        type='RandomResizedCrop',
        scale=(128, 96),
        crop_ratio_range=(0.2, 0.75),
        aspect_ratio_range=(0.75, 0.75),
        backend='pillow'),
    _base_.view_pipeline[1],  # flip
    # the parent's hue, by mmcv, fails with NumPy 2
    dict(
        type='RandomApply',
        transforms=[
            dict(type='NumpyToPIL', to_rgb=True),
            dict(
                type='torchvision/ColorJitter', brightness=0.8, contrast=0.8,
                saturation=0.8, hue=0.2),
            dict(type='PILToNumpy', to_bgr=True)
        ],
        prob=0.8),
    *_base_.view_pipeline[3:]  # greyscale, blur
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs')
]

# data loader
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    # without the parent's scope, which MMEngine would hand to the function
    collate_fn=dict(_delete_=True, type='default_collate'),
    dataset=dict(
        _delete_=True,
        type='CustomDataset',
        data_root='data/lspet_crops/',
        data_prefix='train/',
        with_label=False,
        pipeline=train_pipeline))
