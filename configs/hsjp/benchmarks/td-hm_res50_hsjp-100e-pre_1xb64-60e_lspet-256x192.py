_base_ = ['./td-hm_res50_scratch_1xb64-60e_lspet-256x192.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint='work_dirs/hsjp_res50_1xb64-100e_lspet-256x192/backbone.pth')),
    head=dict(
        init_cfg=dict(
            type='mmpose_pretext.PretrainedDeconv',
            checkpoint='work_dirs/hsjp_res50_1xb64-100e_lspet-256x192/backbone.pth')))
