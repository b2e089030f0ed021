# Control: labels of depth order that are random, one order an image.
_base_ = ['../wsp_res18_1xb16-10e_synthetic-256x256.py']

train_dataloader = dict(dataset=dict(shuffle_relations=0))
