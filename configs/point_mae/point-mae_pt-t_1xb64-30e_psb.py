# Real shapes on two CPU cores: the 904 training meshes of the Princeton Shape
# Benchmark, 30 epochs.
_base_ = [
    '../_base_/models/point-mae_pt-t.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_adamw_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=64)
param_scheduler = dict(period=30, warmup=3, lag=0)
train_cfg = dict(max_epochs=30)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=64)
