# HRNet-W32 on Leeds Sports Pose Extended, in CrowdPose's keypoint order (see
# tools/dataset_converters/convert_lspet.py), from random weights.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/crowdpose/'
    'td-hm_hrnet-w32_8xb64-210e_crowdpose-256x192.py'
]

# runtime
train_cfg = dict(max_epochs=60, val_interval=5)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=60, by_epoch=True, convert_to_iter_based=True)
]
auto_scale_lr = dict(base_batch_size=64)
default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=2, save_best=None, rule=None))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='mmpose_pretext.EpochSeedHook'),
]
randomness = dict(seed=0)

# model settings
model = dict(
    backbone=dict(
        init_cfg=[
            dict(type='Normal', std=0.001, layer=['Conv2d']),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ]))

# data loaders
data_root = 'data/lspet/'
train_dataloader = dict(
    num_workers=8,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='lspet_train.json',
        data_prefix=dict(img='train/')))
val_dataloader = dict(
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        ann_file='lspet_val.json',
        bbox_file=None,
        data_prefix=dict(img='val/')))
test_dataloader = val_dataloader

# evaluators: errors below 0.1 and 0.2 of the longer side of the box
val_evaluator = dict(
    _delete_=True,
    type='Evaluator',
    metrics=[
        dict(type='PCKAccuracy', thr=0.1, prefix='pck@0.1'),
        dict(type='PCKAccuracy', thr=0.2, prefix='pck@0.2'),
    ])
test_evaluator = val_evaluator
