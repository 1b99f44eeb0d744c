# point_cloud_folder.py, keeping the 2,048 farthest points to render views: clouds of any
# size give the same views in every epoch.
_base_ = './point_cloud_folder.py'

pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=2048, method='fps'),
    dict(type='mmkd3d.KeepViewPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1024),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
