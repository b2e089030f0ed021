_base_ = ['./hsjp_hrnet-w32_8xb64-210e_coco-256x192.py']

# hooks
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='mmpose_pretext.EpochSeedHook'),
    dict(
        type='EMAHook',
        ema_type='ExpMomentumEMA',
        momentum=0.0002,
        update_buffers=True,
        priority=49,
    ),
]
