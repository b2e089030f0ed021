_base_ = ['./td-hm_hrnet-w48_scratch_8xb32-210e_coco-256x192.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint='work_dirs/hsjp_hrnet-w48_8xb32-210e_coco-256x192/backbone.pth',
        )
    )
)
