# Control: heatmaps on the same images, and no depth.
_base_ = ['../wsp_res18_1xb16-8e_synthetic-128x128.py']

model = dict(head=dict(depth_loss=dict(loss_weight=0.0)))
