# Control: the full model, with places for a quarter of the images and nothing else.
# Repeated: the same iterations as with presence for all.
_base_ = ['../locfree_res50_8xb64-210e_coco-256x192.py']

model = dict(head=dict(presence_loss=None))
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform'),
    dict(type='TopdownAffine', input_size=_base_.codec['input_size']),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='PackPoseInputs')
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='RepeatDataset',
        times=4,
        dataset=dict(
            type='mmpose_pretext.LabelFraction',
            fraction=0.25,
            stratify='num_keypoints',
            dataset=dict(
                _base_.train_dataloader.dataset, pipeline=train_pipeline))))
