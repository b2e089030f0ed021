# The same on people who stand alone before nothing. There are more images in the place of
# augmentation.
_base_ = ['./integral-pose3d_res18_scratch_1xb8-6e_synthetic-128x128.py']

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='mmpose_pretext.RandomFlip3D'),
    dict(type='TopdownAffine', input_size=(128, 128)),
    dict(type='GenerateTarget', encoder={{_base_.codec}}),
    dict(type='PackPoseInputs')
]

# data loaders
dataset = dict(data_root='data/synthetic_plain/')
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **dataset))
val_dataloader = dict(dataset=dict(**dataset))
test_dataloader = dict(dataset=dict(**dataset))
