# Indoor detection on a folder in mmdetection3d's ScanNet layout, with its transforms; xyz
# only, for students of plain points. Works under the default scopes mmdet3d and mmkd3d.
data_root = 'data/scannet_small'
num_points = 20000
metainfo = dict(
    classes=(
        'cabinet',
        'bed',
        'chair',
        'sofa',
        'table',
        'door',
        'window',
        'bookshelf',
        'picture',
        'counter',
        'desk',
        'curtain',
        'refrigerator',
        'showercurtrain',
        'toilet',
        'sink',
        'bathtub',
        'garbagebin',
    )
)
load_points = dict(
    type='mmdet3d.LoadPointsFromFile',
    coord_type='DEPTH',
    shift_height=False,
    load_dim=6,
    use_dim=[0, 1, 2],
)
train_pipeline = [
    load_points,
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
    load_points,
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
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=False,
    worker_init_fn=dict(type='mmkd3d.seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmdet3d.ScanNetDataset',
        data_root=data_root,
        ann_file='scannet_infos_train.pkl',
        pipeline=train_pipeline,
        filter_empty_gt=False,
        metainfo=metainfo,
        box_type_3d='Depth',
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmdet3d.ScanNetDataset',
        data_root=data_root,
        ann_file='scannet_infos_val.pkl',
        pipeline=test_pipeline,
        metainfo=metainfo,
        test_mode=True,
        box_type_3d='Depth',
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd3d.IndoorMetric')
test_evaluator = val_evaluator
