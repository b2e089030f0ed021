# DenseCL of MMPretrain on the person crops of Leeds Sports Pose Extended; see README.md.
_base_ = 'mmpretrain::densecl/densecl_resnet50_8xb32-coslr-200e_in1k.py'

# runtime
train_cfg = dict(max_epochs=8)
# linear scaling of the authors' 0.3 at batch 256 for COCO
optim_wrapper = dict(optimizer=dict(lr=0.0375))
auto_scale_lr = dict(base_batch_size=32)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=8, by_epoch=True, convert_to_iter_based=True)
]
default_hooks = dict(
    logger=dict(interval=50), checkpoint=dict(interval=1, max_keep_ckpts=2))
# it also imports the package, which lets MMEngine resume on torch >= 2.6
custom_hooks = [dict(type='mmpose_pretext.EpochSeedHook')]
randomness = dict(seed=0)

# model settings: the parent's queue is longer than this whole training, and its key
# encoder (momentum 0.001) would hardly move in it. The queue holds whole batches.
model = dict(
    queue_len=1024,
    momentum=0.01,
    backbone=dict(depth=18),
    neck=dict(in_channels=512, hid_channels=512))

# pipeline
view_pipeline = [
    dict(
        type='RandomResizedCrop',
        scale=(128, 96),
        crop_ratio_range=(0.2, 0.75),
        aspect_ratio_range=(0.75, 0.75),
        backend='pillow'),
    # the parent's hue, by mmcv, fails with NumPy 2
    dict(
        type='RandomApply',
        transforms=[
            dict(type='NumpyToPIL', to_rgb=True),
            dict(
                type='torchvision/ColorJitter', brightness=0.4, contrast=0.4,
                saturation=0.4, hue=0.1),
            dict(type='PILToNumpy', to_bgr=True)
        ],
        prob=0.8),
    *_base_.view_pipeline[2:]  # greyscale, blur, flip
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
