# The same crops as HSJP, but whole: the quarter turns of the crop are to be classified.
_base_ = ['./hsjp_res18_1xb32-8e_lspet-128x96.py']

# model settings
model = dict(
    head=dict(
        _delete_=True,
        type='mmpose_pretext.PretextClassificationHead',
        in_channels=512,
        num_classes=4))

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    # without HSJP's rotation by up to 80 degrees: it would make labels ambiguous
    dict(type='RandomBBoxTransform', rotate_prob=0.0),
    dict(type='mmpose_pretext.RandomQuarterTurn'),
    dict(type='TopdownAffine', input_size=_base_.codec.input_size),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='mmpose_pretext.RandomQuarterTurn', seed=0),
    dict(type='TopdownAffine', input_size=_base_.codec.input_size),
    dict(type='PackPoseInputs')
]

# data loaders
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

# evaluators
val_evaluator = dict(type='mmpose_pretext.PretextAccuracy')
test_evaluator = val_evaluator
