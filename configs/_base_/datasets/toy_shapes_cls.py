# Classification of the toy categories.
_base_ = './toy_shapes.py'

val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmkd3d.ToyShapes',
        split='test',
        num_samples=512,
        num_points=1024,
        categories={{_base_.categories}},
        pipeline={{_base_.pipeline}},
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd3d.Accuracy')
test_evaluator = val_evaluator
