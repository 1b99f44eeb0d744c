# Concept distillation on parts of rooms, in metres: what one frame of a scan
# shows, with the picture of that frame (PosedFrames), for the encoder of 3DETR.
_base_ = [
    '../_base_/students/3detr-encoder.py',
    '../_base_/models/concept_pointvit-s.py',
    '../_base_/datasets/scannet_scenes.py',
    '../_base_/schedules/pretrain_concept_300e.py',
    '../_base_/default_runtime.py',
]

size = (240, 320)
pipeline = [
    dict(type='mmdet3d.LoadPointsFromFile', coord_type='DEPTH', load_dim=6, use_dim=[0, 1, 2]),
    dict(type='mmdet3d.GlobalAlignment', rotation_axis=2),
    dict(type='mmdet3d.Pack3DDetInputs', keys=['points']),
    dict(type='mmkd3d.LoadPosedFrames', root='data/scannet/posed_images', num_frames=1, size=size),
    dict(type='mmkd3d.VisibleInFrame', num_points=20000),
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
model = dict(
    data_preprocessor=dict(augments=[dict(type='RandomRotation', axis=2)]),
    backbone=dict(_delete_=True, pos_scale='scene', **_base_.student),
    extractor=dict(embed_dims=256, num_concepts=8, num_heads=4),
    target=dict(
        num_views=1,
        num_regions=8,
        views=dict(_delete_=True, type='PosedFrames', num_views=1, size=size),
    ),
)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=16)
custom_hooks = _base_.custom_hooks + [
    dict(type='mmkd3d.FitTargetsHook'),
    dict(type='mmkd3d.CollapseAlarmHook'),
]
