_base_ = ['./wsp_hrnet-w32_8xb16-100e_mcpc-512x512.py']

# model settings: SimpleBaseline
model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')),
    head=dict(in_channels=2048, deconv_out_channels=(256, 256, 256)))
