# The 21 leaf classes of the Princeton Shape Benchmark that have shapes in both
# source splits: 368 training and 369 test shapes.
input_spec = dict(up='y')
shapes = dict(
    type='mmkd3d.NpzPoints',
    file='{{$MMKD3D_DATA:data}}/psb_1809.npz',
    label='fine',
    names='fine_names',
    ids='model_id',
    split='is_test',
    subset_of_classes='in_both_splits',
)
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
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
