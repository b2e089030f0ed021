# Control: labels of depth order that are random, one order an image.
_base_ = ['../wsp_hrnet-w48_8xb16-100e_mcpc-512x512.py']

train_dataloader = dict(dataset=dict(shuffle_relations=0))
