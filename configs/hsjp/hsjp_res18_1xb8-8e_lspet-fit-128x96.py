# HSJP pretraining for the study (tools/benchmarks/lspet_hsjp.sh), in small batches, which
# make the most of few images (see README.md).
_base_ = ['./hsjp_res18_1xb32-8e_lspet-fit-128x96.py']

optim_wrapper = dict(optimizer=dict(lr=5e-4, fused=True))
auto_scale_lr = dict(base_batch_size=8)
train_dataloader = dict(batch_size=8)
