# Zero-shot classification of PB_T50_RS, 2,048 points in patches of 64. The
# typo is that of the published class list.
_base_ = [
    '../../_base_/models/recon-zero-shot_base.py',
    '../../_base_/datasets/scanobjectnn.py',
    '../../_base_/default_runtime.py',
]

model = dict(backbone=dict(group_size=64), ratio=0.05, aliases=dict(toilet='toile'))
test_dataloader = dict(batch_size=64)
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='mmkd3d.ClassNamesHook')]
# There is nothing to train.
train_dataloader = train_cfg = optim_wrapper = None
val_dataloader = val_evaluator = val_cfg = None
auto_scale_lr = dict(enable=False, base_batch_size=64)
