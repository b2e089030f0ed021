_base_ = ['./integral-pose3d_hrnet-w32_scratch_8xb32-25e_muco-256x256.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='mmpose_pretext.PretrainedBackbone',
            checkpoint='work_dirs/wsp-shuffled_hrnet-w32_8xb16-100e_mcpc-512x512/'
            'backbone.pth')))
