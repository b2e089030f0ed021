_base_ = ['./td-hm_hrnet-w32_scratch_1xb64-60e_lspet-256x192.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint='work_dirs/hsjp_hrnet-w32_1xb64-100e_lspet-256x192/'
            'backbone.pth')))
