# Zero-shot classification of ModelNet40, test split, 1,024 farthest points: tools/test.py
# with a checkpoint of recon-b_zeroshot_1xb128-300e_shapenet55.py. The published code
# samples 1,024 of the 1,200 farthest points.
_base_ = [
    '../../_base_/models/recon-zero-shot.py',
    '../../_base_/datasets/modelnet40.py',
    '../../_base_/default_runtime.py',
]

test_dataloader = dict(batch_size=64)
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='mmkd3d.ClassNamesHook')]
# There is nothing to train.
train_dataloader = train_cfg = optim_wrapper = None
val_dataloader = val_evaluator = val_cfg = None
auto_scale_lr = dict(enable=False, base_batch_size=64)
