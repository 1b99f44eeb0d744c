# Part segmentation of the shapes in one npz file: a label for every point, a category and
# a split for every shape. `shapes` names the arrays of the file; missing ones are None.
# The parts of each category are read from the file; set model.head.num_classes (part
# labels) and model.head.num_categories.
shapes = dict(
    type='mmkd3d.NpzPoints',
    file='data/parts.npz',
    points='points',
    parts='part',
    part_offset=None,
    label='category',
    names='category_names',
    ids=None,
    split='is_test',
)
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        split_value=False,
        pipeline=[
            dict(type='mmkd3d.LoadPoints'),
            dict(type='mmkd3d.NormalizePoints'),
            dict(type='mmkd3d.SamplePoints', num_points=2048),
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
            dict(type='mmkd3d.NormalizePoints'),
            dict(type='mmkd3d.SamplePoints', num_points=2048, method='fps'),
            dict(type='mmkd3d.PackPoints'),
        ],
        **shapes,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd3d.PartIoU')
test_evaluator = val_evaluator
