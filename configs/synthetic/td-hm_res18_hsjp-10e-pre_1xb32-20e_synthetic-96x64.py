_base_ = ['./td-hm_res18_scratch_1xb32-20e_synthetic-96x64.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint='work_dirs/hsjp_res18_1xb32-10e_synthetic-96x64/backbone.pth')))
