_base_ = ['./td-hm_res18-half_scratch_1xb16-30e_synthetic-96x64.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint='work_dirs/hsjp_res18-half_1xb16-12e_synthetic-96x64/backbone.pth')))
