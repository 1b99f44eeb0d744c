# Point-MAE on the 904 training meshes of the Princeton Shape Benchmark. Two CPU
# cores.
_base_ = [
    '../_base_/models/point-mae_pointvit-mini.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_30e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=64)
default_hooks = dict(checkpoint=dict(interval=10))
