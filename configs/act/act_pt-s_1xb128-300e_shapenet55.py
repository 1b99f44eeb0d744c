# ACT's second stage as published: both splits of ShapeNet-55.
_base_ = [
    '../_base_/models/act_pt-s.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/pretrain_adamw_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(whole=True))
param_scheduler = dict(min_lr=1e-7)
