# ShapeNet-55 with twelve renderings of every shape, as for MVCNN:
# DATA_ROOT/shapenet_views/SYNSET-MODEL_001.png to _012.png, whose alpha says
# where the shape is. For the single rendering of ReCon's set: no views, and
# num_views=1 in the model.
_base_ = './shapenet55.py'

pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1024),
    dict(type='mmkd3d.NormalizePoints'),
    dict(
        type='mmkd3d.LoadRendering',
        root='data/ShapeNet55-34/shapenet_views',
        views=[f'_{view:03d}' for view in range(1, 13)],
        keep_alpha=True,
    ),
    dict(type='mmkd3d.AugmentRendering', train=False),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(num_workers=8, dataset=dict(pipeline=pipeline))
