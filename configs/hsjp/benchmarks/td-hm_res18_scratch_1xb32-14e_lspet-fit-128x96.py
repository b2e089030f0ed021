# For label_efficiency.py: training, choosing and reporting on three different sets. The
# first two are made by tools/dataset_converters/split_annotations.py (see README.md).
_base_ = ['./td-hm_res18_scratch_1xb32-14e_lspet-128x96.py']

train_dataloader = dict(dataset=dict(ann_file='lspet_fit.json'))
val_dataloader = dict(
    dataset=dict(ann_file='lspet_select.json', data_prefix=dict(img='train/')))
