_base_ = ['./integral-pose3d_res50_scratch_8xb32-25e_h36m-256x256.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint='work_dirs/wsp-shuffled_res50_8xb16-100e_mcpc-512x512/'
            'backbone.pth')))
