# Classification on ModelNet40, 1,024 points; in training a random subset of the 1,200
# farthest points, as published.
train_pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.ShufflePoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1200, method='fps'),
    dict(type='mmkd3d.SamplePoints', num_points=1024),
    dict(type='mmkd3d.PackPoints'),
]
test_pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1024, method='fps'),
    dict(type='mmkd3d.PackPoints'),
]
data_root = 'data/ModelNet/modelnet40_normal_resampled'
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=False,
    drop_last=True,
    worker_init_fn=dict(type='mmkd3d.seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmkd3d.ModelNet40', data_root=data_root, split='train', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmkd3d.ModelNet40', data_root=data_root, split='test', pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd3d.Accuracy')
test_evaluator = val_evaluator
