# Pretraining on ToyShapes in a minute on two CPU cores. The patches of 32
# points are large enough for rooms: the same student finds boxes in
# votenet_toy.py.
_base_ = [
    '../_base_/models/point-mae_pointvit-mini.py',
    '../_base_/datasets/toy_shapes.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=32)
param_scheduler = dict(period=6, warmup=1, lag=0)
train_cfg = dict(max_epochs=6)
default_hooks = dict(logger=dict(interval=10))
auto_scale_lr = dict(base_batch_size=32)
