# Control: the stock network, with places for a quarter of the images; repeated, so
# that it trains for the same iterations as with all.
_base_ = [
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py'
]
custom_imports = dict(imports=['mmpose_pretext'])  # for torch >= 2.6

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='RepeatDataset',
        times=4,
        dataset=dict(
            type='mmpose_pretext.LabelFraction',
            fraction=0.25,
            stratify='num_keypoints',
            dataset=_base_.train_dataloader.dataset)))
