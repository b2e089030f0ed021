# HSJP pretraining of HRNet-W32 on the person crops of COCO train2017.
_base_ = ['./benchmarks/td-hm_hrnet-w32_scratch_8xb64-210e_coco-256x192.py']

# runtime
randomness = dict(seed=0)

# hooks
default_hooks = dict(checkpoint=dict(save_best='jigsaw/cell_accuracy'))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='mmpose_pretext.EpochSeedHook'),
]

# codec settings
codec = dict(
    type='mmpose_pretext.JigsawHeatmap',
    input_size=(192, 256),
    heatmap_size=(48, 64),
    sigma=2,
    grid=(4, 3),
)

# model settings
model = dict(head=dict(out_channels=12, decoder=codec), test_cfg=dict(flip_test=False))

# pipelines
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='mmpose_pretext.JigsawShuffle', grid=codec['grid']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='mmpose_pretext.JigsawShuffle', grid=codec['grid'], seed=0),
    dict(
        type='PackPoseInputs',
        meta_keys=(
            'id',
            'img_id',
            'img_path',
            'input_size',
            'input_center',
            'input_scale',
            'jigsaw_grid',
            'jigsaw_permutation',
        ),
    ),
]

# data loaders
train_dataloader = dict(
    persistent_workers=False,  # EpochSeedHook seeds the workers of every epoch
    dataset=dict(
        _delete_=True,
        type='mmpose_pretext.PersonCropDataset',
        data_root='data/coco/',
        ann_file='annotations/person_keypoints_train2017.json',
        data_prefix=dict(img='train2017/'),
        min_bbox_size=32,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmpose_pretext.PersonCropDataset',
        data_root='data/coco/',
        ann_file='annotations/person_keypoints_val2017.json',
        data_prefix=dict(img='val2017/'),
        min_bbox_size=32,
        test_mode=True,
        pipeline=val_pipeline,
    )
)
test_dataloader = val_dataloader

# evaluators
val_evaluator = dict(_delete_=True, type='mmpose_pretext.JigsawAccuracy')
test_evaluator = val_evaluator
