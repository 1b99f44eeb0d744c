# Point-MAE on generated shapes, 20,000 steps of 16: an hour on one CPU core at most.
_base_ = [
    '../_base_/models/point-mae_pointvit-mini.py',
    '../_base_/datasets/toy_shapes_pretrain.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]
