# Classification of the shapes in one npz file, with a label and a split for
# every shape. `shapes` names the file's arrays; those that it lacks are None.
# The head is told how many classes there are: model.head.num_classes.
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
    collate_fn=dict(type='pseudo_collate'),
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
    collate_fn=dict(type='pseudo_collate'),
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
