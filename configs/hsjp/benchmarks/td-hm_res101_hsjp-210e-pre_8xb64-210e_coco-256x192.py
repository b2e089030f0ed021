_base_ = ['./td-hm_res101_scratch_8xb64-210e_coco-256x192.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint='work_dirs/hsjp_res101_8xb64-210e_coco-256x192/backbone.pth')),
    head=dict(
        init_cfg=dict(
            type='mmpose_pretext.PretrainedDeconv',
            checkpoint='work_dirs/hsjp_res101_8xb64-210e_coco-256x192/backbone.pth')))
