# Finetuning on OBJ_ONLY of ScanObjectNN.
_base_ = './cls_i2p-mae_1xb32-300e_scanobjectnn-hardest.py'

model = dict(backbone=dict(radii=(0.32, 0.64, 1.28)))
data = dict(dataset=dict(variant='obj_only'))
train_dataloader = data
val_dataloader = data
test_dataloader = data
