# 3DETR overfits one scan: trained and tested on the first training scan, without
# augmentation and dropout, for 1,800 steps.
_base_ = './3detr_1xb2-60e_scannet-small.py'

num_points = 10000
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
scan = dict(ann_file='scannet_infos_train.pkl', indices=[0])
model = dict(backbone=dict(dropout=0.0), bbox_head=dict(dropout=0.0, mlp_dropout=0.0))
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    dataset=dict(
        _delete_=True,
        type='RepeatDataset',
        times=150,
        dataset=dict({**_base_.train_dataloader.dataset, **scan}, pipeline=train_pipeline),
    ),
)
val_dataloader = dict(num_workers=0, dataset=dict(pipeline=test_pipeline, **scan))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=0.0), clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=20),
    dict(type='CosineAnnealingLR', T_max=12, eta_min_ratio=0.01, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=12, val_interval=1)
auto_scale_lr = dict(base_batch_size=1)
