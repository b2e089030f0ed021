_base_ = ['./td-hm_hrnet-w32_scratch_1xb8-14e_lspet-fit-256x192.py']

# model settings: SimpleBaseline
model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=50),
    head=dict(in_channels=2048, deconv_out_channels=(256, 256, 256)))
