# HSJP pretraining on crops of synthetic people (see tools/demo.sh).
_base_ = ['../hsjp/hsjp_res18_1xb32-8e_lspet-128x96.py']

# runtime
train_cfg = dict(max_epochs=12, val_interval=4)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=12, by_epoch=True, convert_to_iter_based=True)
]

# codec settings
codec = dict(
    type='mmpose_pretext.JigsawHeatmap',
    input_size=(64, 96),
    heatmap_size=(16, 24),
    sigma=2,
    grid=(3, 2))

# model settings
model = dict(
    backbone=dict(stem_channels=32, base_channels=32),
    head=dict(
        in_channels=256,
        out_channels=6,
        deconv_out_channels=(64, 64, 64),
        decoder=codec))

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', rotate_factor=30, scale_factor=(0.75, 1.25)),
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
data_root = 'data/synthetic/'
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_unlabelled.json',
        data_prefix=dict(img='images/'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/person_keypoints_val.json',
        data_prefix=dict(img='images/'),
        pipeline=val_pipeline))
test_dataloader = val_dataloader
