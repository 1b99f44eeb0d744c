# Part segmentation on ShapeNetPart: 2,048 points sampled with replacement, also in tests,
# as published.
pipeline = [
    dict(type='mmkd3d.LoadPoints', parts_column=6),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.SamplePoints', num_points=2048, replace=True),
    dict(type='mmkd3d.PackPoints'),
]
data_root = 'data/shapenetcore_partanno_segmentation_benchmark_v0_normal'
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=False,
    drop_last=True,
    worker_init_fn=dict(type='mmkd3d.seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmkd3d.ShapeNetPart', data_root=data_root, split='trainval', pipeline=pipeline
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmkd3d.ShapeNetPart', data_root=data_root, split='test', pipeline=pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd3d.PartIoU')
test_evaluator = val_evaluator
