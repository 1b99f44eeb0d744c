# Your shapes, files of any supported format in data/shapes/train/CLASS and
# data/shapes/test/CLASS: set data_root of the loaders.
data_root = 'data/shapes'
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    drop_last=False,
    worker_init_fn=dict(type='mmkd3d.seed_worker'),
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmkd3d.PointCloudFolder',
        data_root=f'{data_root}/train',
        pipeline=[
            dict(type='mmkd3d.LoadPoints'),
            dict(type='mmkd3d.SamplePoints', num_points=1024),
            dict(type='mmkd3d.NormalizePoints'),
            dict(type='mmkd3d.PackPoints'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmkd3d.PointCloudFolder',
        data_root=f'{data_root}/test',
        pipeline=[
            dict(type='mmkd3d.LoadPoints'),
            dict(type='mmkd3d.SamplePoints', num_points=1024, method='fps'),
            dict(type='mmkd3d.NormalizePoints'),
            dict(type='mmkd3d.PackPoints'),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd3d.Accuracy')
test_evaluator = val_evaluator
