# Control: heatmaps on the same images, and no depth.
_base_ = ['../wsp_res50_8xb16-100e_mcpc-512x512.py']

model = dict(head=dict(depth_loss=dict(loss_weight=0.0)))
