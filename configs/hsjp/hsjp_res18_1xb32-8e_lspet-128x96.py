# HSJP pretraining of ResNet-18 on the person crops of Leeds Sports Pose Extended.
_base_ = ['./benchmarks/td-hm_res18_scratch_1xb32-14e_lspet-128x96.py']

# runtime
train_cfg = dict(max_epochs=8)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=8, by_epoch=True, convert_to_iter_based=True)
]

# codec settings
codec = dict(
    type='mmpose_pretext.JigsawHeatmap',
    input_size=(96, 128),
    heatmap_size=(24, 32),
    sigma=1.5,
    grid=(4, 3))

# model settings
model = dict(
    head=dict(out_channels=12, decoder=codec), test_cfg=dict(flip_test=False))

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform'),
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
data_root = 'data/lspet/'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmpose_pretext.PersonCropDataset',
        data_root=data_root,
        ann_file='lspet_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmpose_pretext.PersonCropDataset',
        data_root=data_root,
        ann_file='lspet_val.json',
        data_prefix=dict(img='val/'),
        test_mode=True,
        pipeline=val_pipeline))
test_dataloader = val_dataloader

# evaluators
val_evaluator = dict(_delete_=True, type='mmpose_pretext.JigsawAccuracy')
test_evaluator = val_evaluator
