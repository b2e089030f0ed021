# The same puzzles as HSJP, but one of 100 permutations is to be classified.
_base_ = ['./hsjp_res18_1xb32-8e_lspet-128x96.py']

# model settings
num_permutations = 100
model = dict(
    head=dict(
        _delete_=True,
        type='mmpose_pretext.PretextClassificationHead',
        in_channels=512,
        num_classes=num_permutations))

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform'),
    dict(type='TopdownAffine', input_size=_base_.codec.input_size),
    dict(
        type='mmpose_pretext.JigsawShuffle',
        grid=_base_.codec.grid,
        num_permutations=num_permutations),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=_base_.codec.input_size),
    dict(
        type='mmpose_pretext.JigsawShuffle',
        grid=_base_.codec.grid,
        num_permutations=num_permutations,
        seed=0),
    dict(type='PackPoseInputs')
]

# data loaders
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

# evaluators
val_evaluator = dict(type='mmpose_pretext.PretextAccuracy')
test_evaluator = val_evaluator
