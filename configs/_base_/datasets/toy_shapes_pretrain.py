# Long pretraining on generated objects of all categories, clean and scanned, some of them
# bent. Needs 0.3 GB for the shapes, which are made in the first epoch.
pipeline = [dict(type='mmkd3d.NormalizePoints'), dict(type='mmkd3d.PackPoints')]
train_dataloader = dict(
    batch_size=16,
    num_workers=0,  # what was made is cached in the process
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmkd3d.ToyShapes',
        split='train',
        num_samples=20000,
        num_points=1024,
        scan=0.4,
        deform=0.3,
        pipeline=pipeline,
    ),
)
