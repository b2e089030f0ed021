# From ImageNet weights, as the pretraining of WSP.
_base_ = ['./integral-pose3d_hrnet-w32_scratch_8xb32-25e_muco-256x256.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmpose/'
            'pretrain_models/hrnet_w32-36af842e.pth')))
