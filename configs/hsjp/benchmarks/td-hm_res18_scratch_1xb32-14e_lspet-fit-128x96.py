# For label_efficiency.py: training, choosing and reporting on three different sets. The
# first two are made by tools/dataset_converters/split_annotations.py (see README.md).
_base_ = ['./td-hm_res18_scratch_1xb32-14e_lspet-128x96.py']

# in runs of some hundred iterations, any augmentation but flips keeps the network at the
# level of a mean pose (measured on the select set)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='TopdownAffine', input_size=_base_.codec['input_size']),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='PackPoseInputs')
]

train_dataloader = dict(
    dataset=dict(ann_file='lspet_fit.json', pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(ann_file='lspet_select.json', data_prefix=dict(img='train/')))
