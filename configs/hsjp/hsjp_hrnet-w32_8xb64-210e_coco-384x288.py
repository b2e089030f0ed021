_base_ = ['./hsjp_hrnet-w32_8xb64-210e_coco-256x192.py']

# codec settings
codec = dict(
    type='mmpose_pretext.JigsawHeatmap',
    input_size=(288, 384),
    heatmap_size=(72, 96),
    sigma=3,
    grid=(4, 3),
)
model = dict(head=dict(decoder=codec))

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
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
