# HSJP pretraining of HRNet-W32 on the person crops of Leeds Sports Pose Extended.
_base_ = ['./hsjp_hrnet-w32_8xb64-210e_coco-256x192.py']

# runtime
train_cfg = dict(max_epochs=100, val_interval=5)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(
        type='CosineAnnealingLR', T_max=100, by_epoch=True, convert_to_iter_based=True)
]
auto_scale_lr = dict(base_batch_size=64)
default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=2, save_best=None, rule=None))

# data loaders
data_root = 'data/lspet/'
train_dataloader = dict(
    num_workers=8,
    dataset=dict(
        data_root=data_root,
        ann_file='lspet_train.json',
        data_prefix=dict(img='train/'),
        min_bbox_size=0))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='lspet_val.json',
        data_prefix=dict(img='val/'),
        min_bbox_size=0))
test_dataloader = val_dataloader
