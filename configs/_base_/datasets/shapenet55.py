# Pretraining on ShapeNet-55: a random subset first, then the unit sphere.
# whole=True takes both splits (ACT's second stage, ReCon).
pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1024),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=False,
    drop_last=True,
    worker_init_fn=dict(type='mmkd3d.seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmkd3d.ShapeNet55', data_root='data/ShapeNet55-34', split='train', pipeline=pipeline
    ),
)
