# psb.py, keeping the whole cloud to render views of it.
_base_ = './psb.py'

pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.KeepViewPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1024),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
