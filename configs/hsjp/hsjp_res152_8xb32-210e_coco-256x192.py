_base_ = ['./hsjp_res50_8xb64-210e_coco-256x192.py']

model = dict(backbone=dict(depth=152))
train_dataloader = dict(batch_size=32)
