# Classification of the toy categories from scratch, two minutes on two cores.
_base_ = [
    '../_base_/models/classifier_pointvit-s.py',
    '../_base_/datasets/toy_shapes_cls.py',
    '../_base_/schedules/finetune_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(embed_dims=128, depth=4, num_heads=4, num_groups=32, patch_dims=(32, 64)),
    head=dict(in_channels=128, num_classes=16),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = dict(period=10, warmup=1, lag=0)
train_cfg = dict(max_epochs=10, val_interval=5)
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
