# The full model: context over two scales of the backbone, and pose prototypes.
_base_ = ['./locfree-cam_res18_1xb8-14e_lspet-fit-128x96.py']

model = dict(
    backbone=dict(out_indices=(2, 3)),
    head=dict(
        in_channels=[256, 512],
        context=dict(),
        context_indices=(0, 1),
        prototypes=dict(),
        cam=dict(pooling='mass')))
