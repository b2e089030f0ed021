_base_ = ['./integral-pose3d_res50_scratch_8xb32-25e_muco-256x256.py']

checkpoint = 'work_dirs/wsp-shuffled_res50_8xb16-100e_mcpc-512x512/backbone.pth'
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
