# Point-M2AE as published: 2,048 points, batch 128, epochs 0..300.
_base_ = [
    '../_base_/models/point-m2ae_base.py',
    '../_base_/datasets/shapenet55_2k.py',
    '../_base_/schedules/pretrain_m2ae_300e.py',
    '../_base_/default_runtime.py',
]
