_base_ = ['./td-hm_res18_scratch_1xb32-30e_synthetic-64x48.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint='work_dirs/hsjp_res18_1xb32-10e_synthetic-64x48/backbone.pth')))
