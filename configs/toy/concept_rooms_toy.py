# Concept distillation on parts of rooms: the points that one frame shows, with the image
# of that frame (PosedFrames), in metres. For ScanNet, use mmdet3d's data set and the
# folder of its frames as root.
_base_ = [
    '../_base_/models/concept_pointvit-mini.py',
    '../_base_/schedules/pretrain_concept_300e.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/toy_rooms_frames'
size = (96, 128)
pipeline = [
    dict(type='mmdet3d.LoadPointsFromFile', coord_type='DEPTH', load_dim=6, use_dim=[0, 1, 2]),
    dict(type='mmdet3d.GlobalAlignment', rotation_axis=2),
    dict(type='mmdet3d.Pack3DDetInputs', keys=['points']),
    dict(type='mmkd3d.LoadPosedFrames', root=f'{data_root}/posed_images', num_frames=1, size=size),
    dict(type='mmkd3d.VisibleInFrame', num_points=2048),
]
model = dict(
    data_preprocessor=dict(augments=[dict(type='RandomRotation', axis=2)]),
    backbone=dict(num_groups=64, pos_scale='scene'),
    extractor=dict(num_concepts=4),
    target=dict(
        num_views=1,
        views=dict(_delete_=True, type='PosedFrames', num_views=1, size=size),
        teacher=dict(size=size),
    ),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmkd3d.ToyRooms',
        data_root=data_root,
        rooms=dict(num_train=48, num_val=16, num_points=20000, seed=0, frames=8),
        filter_empty_gt=False,
        box_type_3d='Depth',
        pipeline=pipeline,
    ),
)
param_scheduler = dict(period=12, warmup=1)
train_cfg = dict(max_epochs=12)
auto_scale_lr = dict(base_batch_size=8)
custom_hooks = _base_.custom_hooks + [
    dict(type='mmkd3d.FitTargetsHook'),
    dict(type='mmkd3d.CollapseAlarmHook'),
]
