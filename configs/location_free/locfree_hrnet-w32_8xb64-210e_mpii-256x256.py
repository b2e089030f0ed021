# The full model: context over several scales of the backbone, and pose prototypes.
_base_ = ['./locfree-cam_hrnet-w32_8xb64-210e_mpii-256x256.py']

model = dict(
    backbone=dict(extra=dict(stage4=dict(multiscale_output=True))),
    head=dict(
        in_channels=[32, 64, 128, 256],
        location_index=0,
        context_indices=(1, 2, 3),
        context=dict(),
        prototypes=dict(),
        cam=dict(pooling='mass'),
        window_loss=dict(type='mmpose_pretext.JointWindowLoss')))
