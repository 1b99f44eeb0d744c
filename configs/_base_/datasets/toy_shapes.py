# Short runs on sixteen categories of generated objects; nothing to download.
# fmt: off
categories = [
    'airplane', 'bed', 'bench', 'bookshelf', 'bottle', 'cabinet', 'car', 'chair',
    'desk', 'guitar', 'lamp', 'laptop', 'mug', 'sofa', 'table', 'vase',
]
# fmt: on
pipeline = [dict(type='mmkd3d.NormalizePoints'), dict(type='mmkd3d.PackPoints')]
train_dataloader = dict(
    batch_size=32,
    num_workers=0,  # what was made is cached in the process
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmkd3d.ToyShapes',
        split='train',
        num_samples=1024,
        num_points=1024,
        categories=categories,
        pipeline=pipeline,
    ),
)
