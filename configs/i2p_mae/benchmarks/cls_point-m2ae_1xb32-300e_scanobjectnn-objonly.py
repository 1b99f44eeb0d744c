# Finetuning on OBJ_ONLY of ScanObjectNN (Point-M2AE).
_base_ = './cls_point-m2ae_1xb32-300e_scanobjectnn-hardest.py'

data = dict(dataset=dict(variant='obj_only'))
train_dataloader = data
val_dataloader = data
test_dataloader = data
