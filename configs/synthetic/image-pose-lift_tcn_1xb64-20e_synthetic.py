# MMPose's lifter of 2D keypoints on synthetic people, judged as the poses from images
# are. tools/dataset_converters/synthetic_to_h36m.py makes its data.
_base_ = [
    'mmpose::body_3d_keypoint/image_pose_lift/h36m/'
    'image-pose-lift_tcn_8xb64-200e_h36m.py'
]

# runtime
train_cfg = dict(max_epochs=20, val_interval=5)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=20, by_epoch=True, convert_to_iter_based=True)
]
auto_scale_lr = dict(base_batch_size=64)
default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=2, save_best=None, rule=None))

# codec settings: means and deviations of images of 256x256, instead of Human3.6M's
codec = dict(
    type='ImagePoseLifting',
    num_keypoints=17,
    root_index=0,
    remove_root=True,
    target_mean=[[0.0, 0.0, 0.0]] * 16,
    target_std=[[0.2, 0.3, 0.2]] * 16,
    keypoints_mean=[[128.0, 128.0]] * 17,
    keypoints_std=[[60.0, 40.0]] * 17)

# model settings
model = dict(head=dict(decoder=codec))

# pipelines
pipeline = [
    dict(type='GenerateTarget', encoder=codec),
    dict(
        type='PackPoseInputs',
        meta_keys=('id', 'category_id', 'target_img_path', 'flip_indices',
                   'target_root', 'target_root_index', 'target_mean',
                   'target_std'))
]

# data loaders
dataset = dict(data_root='data/synthetic_h36m/', pipeline=pipeline)
train_dataloader = dict(dataset=dict(ann_file='train.npz', **dataset))
val_dataloader = dict(dataset=dict(ann_file='val.npz', **dataset))
test_dataloader = dict(dataset=dict(ann_file='test.npz', **dataset))

# evaluators
val_evaluator = dict(
    _delete_=True, type='mmpose_pretext.RootAlignedPose3D', unit='m')
test_evaluator = val_evaluator
