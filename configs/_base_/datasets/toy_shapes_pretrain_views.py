# toy_shapes_pretrain.py, keeping twice as many points to render views. Half as many shapes,
# since a teacher on a CPU needs a tenth of a second for the views of one.
_base_ = './toy_shapes_pretrain.py'

pipeline = [
    dict(type='mmkd3d.KeepViewPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1024),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(dataset=dict(num_samples=10000, num_points=2048, pipeline=pipeline))
