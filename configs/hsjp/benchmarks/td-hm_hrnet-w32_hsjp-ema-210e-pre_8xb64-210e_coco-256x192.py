_base_ = ['./td-hm_hrnet-w32_hsjp-210e-pre_8xb64-210e_coco-256x192.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='work_dirs/hsjp_hrnet-w32_ema-8xb64-210e_coco-256x192/'
            'backbone.pth'
        )
    )
)
