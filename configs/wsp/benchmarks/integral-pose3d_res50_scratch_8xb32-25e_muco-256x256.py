# MuCo-3DHP for training, MuPoTS-3D for tests.
_base_ = ['./integral-pose3d_res50_scratch_8xb32-25e_h36m-256x256.py']

# codec settings
codec = dict(
    type='mmpose_pretext.IntegralPose3D',
    input_size=(256, 256),
    heatmap_size=(64, 64, 64),
    root_index=14)

# model settings
model = dict(head=dict(decoder=codec))

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='mmpose_pretext.RandomFlip3D'),
    dict(
        type='RandomBBoxTransform',
        shift_factor=0.0,
        rotate_factor=60,
        rotate_prob=0.6,
        scale_factor=(0.75, 1.25)),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs')
]

# data loaders
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmpose_pretext.MuCo3DHPDataset',
        data_root='data/muco/',
        ann_file='MuCo-3DHP.json',
        data_prefix=dict(img=''),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmpose_pretext.MuPoTS3DDataset',
        data_root='data/mupots/',
        ann_file='MuPoTS-3D.json',
        data_prefix=dict(img='MultiPersonTestSet/'),
        test_mode=True,
        pipeline=val_pipeline))
test_dataloader = val_dataloader

# evaluators: the 14 keypoints of MuPoTS-3D's own (without pelvis, spine and head);
# names of actions are those of the sequences
val_evaluator = dict(root_index=14, scored=list(range(14)))
test_evaluator = val_evaluator
