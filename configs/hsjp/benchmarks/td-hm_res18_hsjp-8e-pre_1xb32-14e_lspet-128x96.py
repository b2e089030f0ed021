_base_ = ['./td-hm_res18_scratch_1xb32-14e_lspet-128x96.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint='work_dirs/hsjp_res18_1xb32-8e_lspet-128x96/backbone.pth')),
    head=dict(
        init_cfg=dict(
            type='mmpose_pretext.PretrainedDeconv',
            checkpoint='work_dirs/hsjp_res18_1xb32-8e_lspet-128x96/backbone.pth')))
