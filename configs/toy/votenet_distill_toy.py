# votenet_toy.py with a DistillationHook: beside detection, the tokens of the student
# learn the features of an image network on posed frames of the rooms.
_base_ = './votenet_toy.py'

data_root = 'data/toy_rooms_frames'
toy = dict(data_root=data_root, rooms=dict(frames=8))  # as in concept_rooms_toy.py
train_dataloader = dict(dataset=toy)
val_dataloader = dict(dataset=toy)
test_dataloader = dict(dataset=toy)
size = (96, 128)
custom_hooks = _base_.custom_hooks + [
    dict(
        type='mmkd3d.DistillationHook',
        target=dict(
            type='mmkd3d.PointTarget',
            teacher=dict(type='mmkd3d.ImageNetTeacher', size=size),
            views=dict(type='mmkd3d.PosedFrames', num_views=2, size=size),
        ),
        student='backbone',
        frames=dict(root='data/toy_rooms_frames/posed_images', num_frames=2, size=size),
        loss=dict(type='mmkd3d.CosineLoss', loss_weight=0.5),
        until=0.8,
    )
]
