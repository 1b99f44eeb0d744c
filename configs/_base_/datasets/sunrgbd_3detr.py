# SUN RGB-D for 3DETR: the stock data set, a random cuboid crop after the other
# augmentation, 20,000 points.
_base_ = 'mmdet3d::_base_/datasets/sunrgbd-3d.py'

num_points = 20000
load_points = dict(
    type='mmdet3d.LoadPointsFromFile',
    coord_type='DEPTH',
    shift_height=False,
    load_dim=6,
    use_dim=[0, 1, 2],
)
train_pipeline = [
    load_points,
    dict(type='mmdet3d.LoadAnnotations3D'),
    dict(type='mmdet3d.RandomFlip3D', sync_2d=False, flip_ratio_bev_horizontal=0.5),
    dict(
        type='mmdet3d.GlobalRotScaleTrans',
        rot_range=[-0.523599, 0.523599],
        scale_ratio_range=[0.85, 1.15],
    ),
    dict(type='mmkd3d.RandomCuboidCrop', crop_range=(0.75, 1.0), aspect=0.75, min_points=30000),
    dict(type='mmdet3d.PointSample', num_points=num_points),
    dict(type='mmdet3d.Pack3DDetInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d']),
]
test_pipeline = [
    load_points,
    dict(type='mmdet3d.PointSample', num_points=num_points),
    dict(type='mmdet3d.Pack3DDetInputs', keys=['points']),
]
train_dataloader = dict(
    batch_size=8,
    worker_init_fn=dict(type='mmkd3d.seed_worker'),
    dataset=dict(
        _delete_=True,
        type='mmdet3d.SUNRGBDDataset',
        data_root='data/sunrgbd/',
        ann_file='sunrgbd_infos_train.pkl',
        pipeline=train_pipeline,
        filter_empty_gt=False,
        metainfo=_base_.metainfo,
        box_type_3d='Depth',
    ),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd3d.IndoorMetric')
test_evaluator = val_evaluator
