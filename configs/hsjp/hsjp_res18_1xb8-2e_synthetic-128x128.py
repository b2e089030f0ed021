# HSJP pretraining on crops of the synthetic people of WSP's study (configs/wsp/STUDY.md
# has the commands that make them), as one of its controls.
_base_ = ['./hsjp_res18_1xb8-8e_lspet-fit-128x96.py']

# runtime
train_cfg = dict(max_epochs=2, val_interval=1)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=2, by_epoch=True, convert_to_iter_based=True)
]

# codec settings
codec = dict(
    type='mmpose_pretext.JigsawHeatmap',
    input_size=(128, 128),
    heatmap_size=(32, 32),
    sigma=1.5,
    grid=(4, 4))

# model settings; deconvolutions as in the other pretrainings of the study
model = dict(
    head=dict(
        out_channels=16, deconv_out_channels=(128, 128, 128), decoder=codec))

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', rotate_factor=40, scale_factor=(0.75, 1.25)),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='mmpose_pretext.JigsawShuffle', grid=codec['grid']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='mmpose_pretext.JigsawShuffle', grid=codec['grid'], seed=0),
    dict(
        type='PackPoseInputs',
        meta_keys=('id', 'img_id', 'img_path', 'input_size', 'input_center',
                   'input_scale', 'jigsaw_grid', 'jigsaw_permutation'))
]

# data loaders
dataset = dict(data_root='data/synthetic_crowd/', data_prefix=dict(img='images/'))
train_dataloader = dict(
    dataset=dict(
        ann_file='annotations/person_keypoints_train.json',
        pipeline=train_pipeline,
        **dataset))
val_dataloader = dict(
    dataset=dict(
        ann_file='annotations/person_keypoints_val.json', pipeline=val_pipeline,
        **dataset))
test_dataloader = dict(
    dataset=dict(
        ann_file='annotations/person_keypoints_test.json', pipeline=val_pipeline,
        **dataset))
