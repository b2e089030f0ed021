# With every tenth image only.
_base_ = ['./td-hm_res18_scratch_1xb32-14e_lspet-128x96.py']

train_cfg = dict(max_epochs=30, val_interval=3)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=30, by_epoch=True, convert_to_iter_based=True)
]
train_dataloader = dict(dataset=dict(sample_interval=10))
