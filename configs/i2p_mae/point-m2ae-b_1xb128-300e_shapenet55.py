# Point-M2AE as published: 2,048 points, batch 128, epochs 0..300.
_base_ = [
    '../_base_/models/point-m2ae-b.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/pretrain_m2ae_300e.py',
    '../_base_/default_runtime.py',
]

pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=2048),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
