# The study of HSJP (tools/benchmarks/lspet_hsjp.sh): training, choosing and reporting on
# three different sets. The first two are made by
# tools/dataset_converters/split_annotations.py (see README.md).
_base_ = ['./td-hm_res18_scratch_1xb32-14e_lspet-128x96.py']

# short runs are short of steps, not of images: on the select set, the same number of
# images in batches of 8 teaches more than in batches of 32 (see README.md)
optim_wrapper = dict(optimizer=dict(lr=5e-4, fused=True))
auto_scale_lr = dict(base_batch_size=8)
train_dataloader = dict(batch_size=8, dataset=dict(ann_file='lspet_fit.json'))
val_dataloader = dict(
    dataset=dict(ann_file='lspet_select.json', data_prefix=dict(img='train/')))
