# The stock ResNet-101, from random weights instead of ImageNet's.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_res101_8xb32-210e_coco-384x288.py'
]
custom_imports = dict(imports=['mmpose_pretext'])  # for torch >= 2.6

model = dict(
    backbone=dict(
        init_cfg=[
            dict(type='Kaiming', layer=['Conv2d']),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ]
    )
)
