# Point-MAE on whole rooms in metres: 400 ToyRooms, with as many patches as in
# votenet_rooms_toy.py.
_base_ = [
    '../_base_/models/point-mae_pointvit-mini.py',
    '../_base_/datasets/scannet_scenes.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]

pipeline = [
    dict(type='mmdet3d.LoadPointsFromFile', coord_type='DEPTH', load_dim=6, use_dim=[0, 1, 2]),
    dict(type='mmdet3d.GlobalAlignment', rotation_axis=2),
    dict(type='mmkd3d.SceneToCloud'),
    dict(type='mmkd3d.SamplePoints', num_points=10000),
    dict(type='mmkd3d.PackPoints'),
]
model = dict(
    data_preprocessor=dict(
        augments=[
            dict(type='RandomRotation', axis=2),
            dict(type='ScaleTranslate', scale=(0.8, 1.25), shift=0.0),
        ]
    ),
    backbone=dict(num_groups=256, fps_rule='mmcv', pos_scale='scene'),
    masker=dict(ratio=0.75),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        type='mmkd3d.ToyRooms',
        data_root='data/toy_rooms_400',
        rooms=dict(num_train=400, num_val=64, num_points=20000, seed=0),
        pipeline=pipeline,
    ),
)
param_scheduler = dict(period=12, warmup=1, lag=0)
train_cfg = dict(max_epochs=12)
default_hooks = dict(logger=dict(interval=10))
auto_scale_lr = dict(base_batch_size=8)
