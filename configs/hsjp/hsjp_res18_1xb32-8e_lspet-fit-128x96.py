# HSJP pretraining of ResNet-18 on the 90 % of LSPET's training images that
# tools/dataset_converters/split_annotations.py writes to lspet_fit.json.
_base_ = ['./hsjp_res18_1xb32-8e_lspet-128x96.py']

train_dataloader = dict(dataset=dict(ann_file='lspet_fit.json'))
val_dataloader = dict(
    dataset=dict(ann_file='lspet_select.json', data_prefix=dict(img='train/')))
test_dataloader = val_dataloader
