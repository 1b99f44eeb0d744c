# As toy_shapes.py, with twice as many points kept to draw views from.
_base_ = './toy_shapes.py'

pipeline = [
    dict(type='mmkd3d.KeepViewPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1024),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(dataset=dict(num_points=2048, pipeline=pipeline))
