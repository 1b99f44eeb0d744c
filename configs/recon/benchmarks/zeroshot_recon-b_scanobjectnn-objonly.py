# Zero-shot classification of OBJ_ONLY of ScanObjectNN, in 32 patches of 128
# points. The typo is that of the published class list.
_base_ = [
    '../../_base_/models/recon-zero-shot.py',
    '../../_base_/datasets/scanobjectnn.py',
    '../../_base_/default_runtime.py',
]

model = dict(backbone=dict(num_groups=32, group_size=128), ratio=0.15, aliases=dict(toilet='toile'))
test_dataloader = dict(batch_size=64, dataset=dict(variant='obj_only'))
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='mmkd3d.ClassNamesHook')]
# There is nothing to train.
train_dataloader = train_cfg = optim_wrapper = None
val_dataloader = val_evaluator = val_cfg = None
auto_scale_lr = dict(enable=False, base_batch_size=64)
