# Whole rooms for pretraining: the training scans of ScanNet, in mmdetection3d's
# layout, aligned, in metres, without their boxes.
data_root = 'data/scannet'
num_points = 20000
pipeline = [
    dict(type='mmdet3d.LoadPointsFromFile', coord_type='DEPTH', load_dim=6, use_dim=[0, 1, 2]),
    dict(type='mmdet3d.GlobalAlignment', rotation_axis=2),
    dict(type='mmkd3d.SceneToCloud'),
    dict(type='mmkd3d.SamplePoints', num_points=num_points),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=False,
    drop_last=True,
    worker_init_fn=dict(type='mmkd3d.seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmdet3d.ScanNetDataset',
        data_root=data_root,
        ann_file='scannet_infos_train.pkl',
        pipeline=pipeline,
        filter_empty_gt=False,
        box_type_3d='Depth',
    ),
)
