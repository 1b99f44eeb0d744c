# votenet_toy.py on some hundred rooms, evaluated after every epoch, for a meaningful
# curve over training steps.
_base_ = './votenet_toy.py'

num_points = 10000
rooms = dict(num_train=400, num_val=64, num_points=20000, seed=0)
toy = dict(data_root='data/toy_rooms_400', rooms=rooms)
train_pipeline = [
    {{_base_.load_points}},
    dict(
        type='mmdet3d.LoadAnnotations3D',
        with_bbox_3d=True,
        with_label_3d=True,
        with_mask_3d=True,
        with_seg_3d=True,
    ),
    dict(type='mmdet3d.GlobalAlignment', rotation_axis=2),
    dict(type='mmdet3d.PointSegClassMapping'),
    dict(type='mmdet3d.PointSample', num_points=num_points),
    dict(
        type='mmdet3d.RandomFlip3D',
        sync_2d=False,
        flip_ratio_bev_horizontal=0.5,
        flip_ratio_bev_vertical=0.5,
    ),
    dict(
        type='mmdet3d.GlobalRotScaleTrans',
        rot_range=[-0.087266, 0.087266],
        scale_ratio_range=[1.0, 1.0],
    ),
    dict(
        type='mmdet3d.Pack3DDetInputs',
        keys=['points', 'gt_bboxes_3d', 'gt_labels_3d', 'pts_semantic_mask', 'pts_instance_mask'],
    ),
]
test_pipeline = [
    {{_base_.load_points}},
    dict(type='mmdet3d.GlobalAlignment', rotation_axis=2),
    dict(
        type='mmdet3d.MultiScaleFlipAug3D',
        img_scale=(1333, 800),
        pts_scale_ratio=1,
        flip=False,
        transforms=[
            dict(
                type='mmdet3d.GlobalRotScaleTrans',
                rot_range=[0, 0],
                scale_ratio_range=[1.0, 1.0],
                translation_std=[0, 0, 0],
            ),
            dict(
                type='mmdet3d.RandomFlip3D',
                sync_2d=False,
                flip_ratio_bev_horizontal=0.5,
                flip_ratio_bev_vertical=0.5,
            ),
            dict(type='mmdet3d.PointSample', num_points=num_points),
        ],
    ),
    dict(type='mmdet3d.Pack3DDetInputs', keys=['points']),
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline, **toy))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **toy))
test_dataloader = val_dataloader
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=20),
    dict(type='CosineAnnealingLR', T_max=8, eta_min_ratio=0.01, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=8, val_interval=1)
auto_scale_lr = dict(base_batch_size=8)
