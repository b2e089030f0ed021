# Integral pose regression with ResNet-18 on synthetic people, from random weights, small
# enough for a CPU (STUDY.md has the commands that make the data).
_base_ = ['./integral-pose3d_res50_scratch_8xb32-25e_h36m-256x256.py']

# runtime; short runs are short of steps, and a last layer that begins with even
# probabilities has to make peaks of them in these (STUDY.md)
train_cfg = dict(max_epochs=6, val_interval=1)
optim_wrapper = dict(
    optimizer=dict(lr=5e-4, fused=True),
    paramwise_cfg=dict(custom_keys={'final_layer': dict(lr_mult=20)}))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=6, by_epoch=True, convert_to_iter_based=True)
]
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=2, save_best=None, rule=None))

# codec settings
codec = dict(
    type='mmpose_pretext.IntegralPose3D',
    input_size=(128, 128),
    heatmap_size=(32, 32, 32))

# model settings; deconvolutions as in the pretraining
model = dict(
    backbone=dict(depth=18),
    head=dict(
        in_channels=512,
        deconv_out_channels=(128, 128, 128),
        marginal_loss=dict(type='mmpose_pretext.MarginalHeatmapLoss'),
        decoder=codec),
    test_cfg=dict(flip_test=False))

# pipelines; milder than the stock rotation by 60 degrees, for few epochs
train_pipeline = [
    dict(type='mmpose_pretext.LoadImageStrict'),
    dict(type='GetBBoxCenterScale'),
    dict(type='mmpose_pretext.RandomFlip3D'),
    dict(
        type='RandomBBoxTransform',
        shift_factor=0.0,
        rotate_factor=20,
        scale_factor=(0.85, 1.15)),
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
dataset = dict(
    _delete_=True,
    type='mmpose_pretext.SyntheticPose3DDataset',
    data_root='data/synthetic_crowd/',
    data_prefix=dict(img='images/'))
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        ann_file='annotations/person_keypoints_train.json',
        pipeline=train_pipeline,
        **dataset))
val_dataloader = dict(
    dataset=dict(
        ann_file='annotations/person_keypoints_val.json',
        test_mode=True,
        pipeline=val_pipeline,
        **dataset))
test_dataloader = dict(
    dataset=dict(
        ann_file='annotations/person_keypoints_test.json',
        test_mode=True,
        pipeline=val_pipeline,
        **dataset))

# evaluators
val_evaluator = dict(by_action=False)
test_evaluator = dict(by_action=False)
