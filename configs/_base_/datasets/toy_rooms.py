# 400 ToyRooms to learn from and 64 to test, made on first use; xyz, 10,000 points of each.
_base_ = './scannet_small.py'

num_points = 10000
data_root = 'data/toy_rooms_400'
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
        scale_ratio_range=[0.9, 1.1],
    ),
    dict(
        type='mmdet3d.Pack3DDetInputs',
        keys=['points', 'gt_bboxes_3d', 'gt_labels_3d', 'pts_semantic_mask', 'pts_instance_mask'],
    ),
]
test_pipeline = [
    {{_base_.load_points}},
    dict(type='mmdet3d.GlobalAlignment', rotation_axis=2),
    dict(type='mmdet3d.PointSample', num_points=num_points),
    dict(type='mmdet3d.Pack3DDetInputs', keys=['points']),
]
toy = dict(
    type='mmkd3d.ToyRooms',
    data_root=data_root,
    rooms=dict(num_train=400, num_val=64, num_points=20000, seed=0, frames=8),
)
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler', shuffle=True), dataset=dict(pipeline=train_pipeline, **toy)
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **toy))
test_dataloader = val_dataloader
