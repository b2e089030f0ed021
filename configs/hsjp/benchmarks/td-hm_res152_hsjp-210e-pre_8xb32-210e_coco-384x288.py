_base_ = ['./td-hm_res152_scratch_8xb32-210e_coco-384x288.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint='work_dirs/hsjp_res152_8xb32-210e_coco-384x288/backbone.pth')),
    head=dict(
        init_cfg=dict(
            type='mmpose_pretext.PretrainedDeconv',
            checkpoint='work_dirs/hsjp_res152_8xb32-210e_coco-384x288/backbone.pth')))
