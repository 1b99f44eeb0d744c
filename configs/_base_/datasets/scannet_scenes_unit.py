# Whole rooms in the unit sphere, as in MaskPoint: the radius of a patch, 0.2, is
# no longer in metres.
_base_ = './scannet_scenes.py'

pipeline = [
    dict(type='mmdet3d.LoadPointsFromFile', coord_type='DEPTH', load_dim=6, use_dim=[0, 1, 2]),
    dict(type='mmdet3d.GlobalAlignment', rotation_axis=2),
    dict(type='mmkd3d.SceneToCloud'),
    dict(type='mmkd3d.SamplePoints', num_points=20000),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
