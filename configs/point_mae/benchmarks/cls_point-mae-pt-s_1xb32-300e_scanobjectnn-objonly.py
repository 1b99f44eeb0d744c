# Finetuning on OBJ_ONLY of ScanObjectNN.
_base_ = './cls_point-mae-pt-s_1xb32-300e_scanobjectnn.py'

data = dict(dataset=dict(variant='obj_only'))
train_dataloader = data
val_dataloader = data
test_dataloader = data
