# Pretraining on the training split of the Princeton Shape Benchmark: 904 shapes of 2,048
# points, from the file that tools/prepare_data/psb.py writes.
input_spec = dict(up='y')
pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1024),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmkd3d.NpzPoints',
        file='{{$MMKD3D_DATA:data}}/psb_1809.npz',
        label='fine',
        names='fine_names',
        ids='model_id',
        split='is_test',
        split_value=False,
        pipeline=pipeline,
    ),
)
