_base_ = ['./hsjp_res50_8xb64-210e_coco-384x288.py']

model = dict(backbone=dict(depth=101))
train_dataloader = dict(batch_size=32)
auto_scale_lr = dict(base_batch_size=256)  # as the stock config's
