# The full model, with places for a quarter of the images and presence for all.
_base_ = ['./locfree_res50_8xb64-210e_crowdpose-256x192.py']

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmpose_pretext.LabelFraction',
        fraction=0.25,
        stratify='num_keypoints',
        keep_rest=True,
        dataset=_base_.train_dataloader.dataset))
