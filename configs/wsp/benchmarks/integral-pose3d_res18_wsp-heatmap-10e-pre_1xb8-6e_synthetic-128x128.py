_base_ = ['./integral-pose3d_res18_scratch_1xb8-6e_synthetic-128x128.py']

checkpoint = 'work_dirs/wsp-heatmap_res18_1xb16-10e_synthetic-256x256/backbone.pth'
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint=checkpoint)),
    head=dict(
        init_cfg=dict(
            type='mmpose_pretext.PretrainedDeconv',
            checkpoint=checkpoint)))
