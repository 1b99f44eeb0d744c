# ACT's second stage on ToyShapes; run act-autoencoder_toy.py first.
_base_ = [
    '../_base_/models/act_pointvit-mini.py',
    '../_base_/datasets/toy_shapes.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(teacher=dict(checkpoint='work_dirs/act-autoencoder_toy/epoch_6.pth'))
param_scheduler = dict(period=6, warmup=1, lag=0)
train_cfg = dict(max_epochs=6)
default_hooks = dict(logger=dict(interval=10))
auto_scale_lr = dict(base_batch_size=32)
