# Concept distillation on 1,024 points, batch 128, 300 epochs; a step uses 4 of the
# 12 renderings of each shape, as for MVCNN:
# DATA_ROOT/shapenet_views/SYNSET-MODEL_001.png to _012.png, whose alpha is the
# mask of the shape. For the single rendering of ReCon's set drop views, and set
# num_views=1 in the model.
_base_ = [
    '../_base_/models/concept_pointvit-s.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/pretrain_concept_300e.py',
    '../_base_/default_runtime.py',
]

pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1024),
    dict(type='mmkd3d.NormalizePoints'),
    dict(
        type='mmkd3d.LoadRendering',
        root='data/ShapeNet55-34/shapenet_views',
        views=[
            '_001',
            '_002',
            '_003',
            '_004',
            '_005',
            '_006',
            '_007',
            '_008',
            '_009',
            '_010',
            '_011',
            '_012',
        ],
        keep_alpha=True,
    ),
    dict(type='mmkd3d.AugmentRendering', train=False),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(num_workers=8, dataset=dict(pipeline=pipeline))
custom_hooks = _base_.custom_hooks + [
    dict(type='mmkd3d.FitTargetsHook'),
    dict(type='mmkd3d.CollapseAlarmHook'),
]
