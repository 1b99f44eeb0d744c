# Semantic segmentation of S3DIS, area 5 for testing, in the layout and with
# the transforms of mmdetection3d; xyz only. Works under the default scopes
# mmdet3d and mmkd3d.
#
# In training 2,048 points of a column of 1 m x 1 m around a random point; x
# and y from there, z from the floor. As published (ACT, section 9.2), except that
# - a column with 1,024 points or less is drawn again ten times at most;
# - one with less than 2,048 points repeats some of them (there, all points are
#   drawn with replacement);
# - the shift is Gaussian, with the variance of the published U(-0.1, 0.1) m.
# mmdetection3d lists a room once per 4,096 points; a published epoch has one
# sample per 2,048, so that each room is taken twice as often.
# Whole rooms are tested, in columns that overlap by half, with the mean of the
# logits (there, three votes of each column).
data_root = 'data/s3dis'
num_points = 2048
class_names = (
    'ceiling',
    'floor',
    'wall',
    'beam',
    'column',
    'window',
    'door',
    'table',
    'chair',
    'sofa',
    'bookcase',
    'board',
    'clutter',
)
load_points = dict(
    type='mmdet3d.LoadPointsFromFile',
    coord_type='DEPTH',
    shift_height=False,
    load_dim=6,
    use_dim=[0, 1, 2],
)
load_labels = dict(
    type='mmdet3d.LoadAnnotations3D',
    with_bbox_3d=False,
    with_label_3d=False,
    with_mask_3d=False,
    with_seg_3d=True,
)
map_labels = dict(type='mmdet3d.PointSegClassMapping')
sample_block = dict(
    type='mmdet3d.IndoorPatchPointSample',
    num_points=num_points,
    block_size=1.0,
    ignore_index=len(class_names),
    use_normalized_coord=False,
    enlarge_size=None,
    min_unique_num=1025,
)
augment = dict(
    type='mmdet3d.GlobalRotScaleTrans',
    rot_range=[0, 0],
    scale_ratio_range=[0.8, 1.25],
    translation_std=[0.0577, 0.0577, 0.0577],
)
pack_train = dict(type='mmdet3d.Pack3DDetInputs', keys=['points', 'pts_semantic_mask'])
pack_test = dict(type='mmdet3d.Pack3DDetInputs', keys=['points'])
train_pipeline = [load_points, load_labels, map_labels, sample_block, augment, pack_train]
test_pipeline = [load_points, load_labels, pack_test]
dataset = dict(
    type='mmdet3d.S3DISSegDataset',
    data_root=data_root,
    data_prefix=dict(
        pts='points', pts_instance_mask='instance_mask', pts_semantic_mask='semantic_mask'
    ),
    metainfo=dict(classes=class_names),
    modality=dict(use_lidar=True, use_camera=False),
    ignore_index=len(class_names),
)
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=False,
    drop_last=True,
    worker_init_fn=dict(type='mmkd3d.seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='RepeatDataset',
        times=2,
        dataset=dict(
            **dataset,
            ann_files=[
                's3dis_infos_Area_1.pkl',
                's3dis_infos_Area_2.pkl',
                's3dis_infos_Area_3.pkl',
                's3dis_infos_Area_4.pkl',
                's3dis_infos_Area_6.pkl',
            ],
            scene_idxs=[
                'seg_info/Area_1_resampled_scene_idxs.npy',
                'seg_info/Area_2_resampled_scene_idxs.npy',
                'seg_info/Area_3_resampled_scene_idxs.npy',
                'seg_info/Area_4_resampled_scene_idxs.npy',
                'seg_info/Area_6_resampled_scene_idxs.npy',
            ],
            pipeline=train_pipeline,
            test_mode=False,
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset,
        ann_files='s3dis_infos_Area_5.pkl',
        scene_idxs='seg_info/Area_5_resampled_scene_idxs.npy',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmdet3d.SegMetric')
test_evaluator = val_evaluator
