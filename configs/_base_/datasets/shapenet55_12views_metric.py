# As shapenet55_12views.py, for students that know rooms: 2 metres wide, z up,
# with the height as the fourth channel, and more points.
_base_ = './shapenet55_12views.py'

pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=4096),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.ToDepthCoordinates'),
    dict(
        type='mmkd3d.LoadRendering',
        root='data/ShapeNet55-34/shapenet_views',
        views=[f'_{view:03d}' for view in range(1, 13)],
        keep_alpha=True,
    ),
    dict(type='mmkd3d.AugmentRendering', train=False),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
