# Finetuning on your shapes in one npz file, with a label and a split for each: set the
# file, the names of its arrays (None for missing ones) and the number of classes. The
# error for a wrong number shows the right one.
_base_ = [
    '../../_base_/models/classifier_pointvit-s.py',
    '../../_base_/schedules/finetune_300e.py',
    '../../_base_/default_runtime.py',
]

shapes = dict(
    type='mmkd3d.NpzPoints',
    file='data/shapes.npz',
    points='points',
    label='label',
    names='names',
    ids=None,
    split='is_test',
)
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        split_value=False,
        pipeline=[
            dict(type='mmkd3d.LoadPoints'),
            dict(type='mmkd3d.SamplePoints', num_points=1024),
            dict(type='mmkd3d.NormalizePoints'),
            dict(type='mmkd3d.PackPoints'),
        ],
        **shapes,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        split_value=True,
        pipeline=[
            dict(type='mmkd3d.LoadPoints'),
            dict(type='mmkd3d.SamplePoints', num_points=1024, method='fps'),
            dict(type='mmkd3d.NormalizePoints'),
            dict(type='mmkd3d.PackPoints'),
        ],
        **shapes,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd3d.Accuracy')
test_evaluator = val_evaluator
model = dict(
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/point-mae_pointvit-s_1xb128-300e_shapenet55/epoch_301.pth',
            allow_missing=['cls_'],  # pretrained without a class token
        )
    ),
    head=dict(num_classes=10),
)
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
