# For people on one ground, from labels of the ground alone: whoever stands lower in the
# image is nearer. So it is not rotated, and the map of depth sees where a pixel lies, and
# is learned at ten times the rate. With people ranked by their nearest keypoint this is
# the rule of the lowest keypoint in disguise: STUDY.md.
_base_ = ['./wsp_res18_1xb16-10e_synthetic-256x256.py']

# optimizer
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'head.depth_layer': dict(lr_mult=10)}))

# model settings
model = dict(head=dict(coordinates=True))

# pipelines
train_pipeline = [*_base_.train_pipeline]
train_pipeline[1] = dict(train_pipeline[1], rotate_factor=0)

# data loaders
train_dataloader = dict(
    dataset=dict(ann_file='train_ground.json', pipeline=train_pipeline))
