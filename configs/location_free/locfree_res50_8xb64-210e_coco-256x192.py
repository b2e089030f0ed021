# The full model: context over several scales of the backbone, and pose prototypes.
_base_ = ['./locfree-cam_res50_8xb64-210e_coco-256x192.py']

model = dict(
    backbone=dict(out_indices=(2, 3)),
    head=dict(
        in_channels=[1024, 2048],
        context_indices=(0, 1),
        context=dict(),
        prototypes=dict(),
        cam=dict(pooling='mass'),
        window_loss=dict(type='mmpose_pretext.JointWindowLoss')))
