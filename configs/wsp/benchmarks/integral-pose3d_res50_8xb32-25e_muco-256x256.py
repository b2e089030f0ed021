# From ImageNet weights, as the pretraining of WSP.
_base_ = ['./integral-pose3d_res50_scratch_8xb32-25e_muco-256x256.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='torchvision://resnet50')))
