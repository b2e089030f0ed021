# WSP pretraining of ResNet-18 on synthetic people in poses of motion capture, small
# enough for a CPU (STUDY.md has the commands that make the data).
_base_ = ['./wsp_res50_8xb16-100e_mcpc-512x512.py']

# runtime
train_cfg = dict(max_epochs=10, val_interval=2)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=10, by_epoch=True, convert_to_iter_based=True)
]
auto_scale_lr = dict(base_batch_size=16)
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=2, save_best=None, rule=None))

# codec settings
codec = dict(
    type='mmpose_pretext.RelativeDepthLabel',
    input_size=(256, 256),
    heatmap_size=(64, 64),
    sigma=1.5)

# model settings; stock deconvolutions have 256 channels, and 2.5 times the arithmetic
# of the whole network
model = dict(
    backbone=dict(
        depth=18,
        init_cfg=[
            dict(type='Kaiming', layer=['Conv2d']),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ]),
    head=dict(
        in_channels=512,
        out_channels=17,
        deconv_out_channels=(128, 128, 128),
        decoder=codec))

# pipelines
train_pipeline = [
    dict(type='LoadImage'),
    # milder than the stock shift of 0.2, 0.75 to 1.5 and 30 degrees, for few epochs
    dict(
        type='BottomupRandomAffine',
        input_size=codec['input_size'],
        shift_factor=0.1,
        scale_factor=(0.8, 1.25),
        rotate_factor=10),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='BottomupResize', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs')
]

# data loaders
dataset = dict(
    metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
    data_root='data/synthetic_crowd/',
    data_prefix=dict(img='images/'))
train_dataloader = dict(
    dataset=dict(ann_file='train.json', pipeline=train_pipeline, **dataset))
val_dataloader = dict(
    persistent_workers=False,
    dataset=dict(ann_file='val.json', pipeline=val_pipeline, **dataset))
test_dataloader = dict(
    persistent_workers=False,
    dataset=dict(ann_file='test.json', pipeline=val_pipeline, **dataset))
