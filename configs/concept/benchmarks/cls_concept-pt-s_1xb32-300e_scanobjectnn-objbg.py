# Finetuning on OBJ_BG of ScanObjectNN.
_base_ = './cls_concept-pt-s_1xb32-300e_scanobjectnn-hardest.py'

data = dict(dataset=dict(variant='obj_bg'))
train_dataloader = data
val_dataloader = data
test_dataloader = data
