# Control: labels of depth order that are random, one order an image.
_base_ = ['../wsp_res18_1xb16-8e_synthetic-128x128.py']

train_dataloader = dict(dataset=dict(shuffle_relations=0))
