# Where few people have places and are seen often, flips are not enough: rotation, scale
# and shift as in td-hm_res18_scratch_1xb8-14e_lspet-fit-128x96.py.
_base_ = ['./locfree_res18_1xb8-14e_lspet-fit-128x96.py']

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    {{_base_.presence}},
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', rotate_factor=40, scale_factor=(0.75, 1.25)),
    dict(type='TopdownAffine', input_size={{_base_.codec.input_size}}),
    dict(type='GenerateTarget', encoder={{_base_.codec}}),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
