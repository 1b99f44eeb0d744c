# Point-MAE's published pretraining.
_base_ = [
    '../_base_/models/point-mae_pointvit-s.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]
