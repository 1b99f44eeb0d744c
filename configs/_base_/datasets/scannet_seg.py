# Semantic segmentation of ScanNet, 20 classes, in the layout and with the
# transforms of mmdetection3d; xyz only. Works under the default scopes mmdet3d
# and mmkd3d.
#
# mmdetection3d's own protocol, so that its PointNet++ is trained and tested on
# the same blocks: in training 8,192 points of a column of 1.5 m x 1.5 m, and
# 0.2 m more on each side, around a random point; x and y from there, z as in
# the scan. Whole rooms are tested, in columns of 1.5 m that overlap by half,
# with the mean of the logits: the model's test_cfg names the same num_points
# and block_size. Other blocks: write train_pipeline anew with another
# sample_block.
data_root = 'data/scannet'
num_points = 8192
class_names = (
    'wall',
    'floor',
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
    'otherfurniture',
)
# As in mmdetection3d: 1 / log(1.2 + share of the training points).
class_weight = [
    2.389689,
    2.7215734,
    4.5944676,
    4.8543367,
    4.096086,
    4.907941,
    4.690836,
    4.512031,
    4.623311,
    4.9242644,
    5.358117,
    5.360071,
    5.019636,
    4.967126,
    5.3502126,
    5.4023647,
    5.4027233,
    5.4169416,
    5.3954206,
    4.6971426,
]
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
    block_size=1.5,
    ignore_index=len(class_names),
    use_normalized_coord=False,
    enlarge_size=0.2,
    min_unique_num=None,
)
pack_train = dict(type='mmdet3d.Pack3DDetInputs', keys=['points', 'pts_semantic_mask'])
pack_test = dict(type='mmdet3d.Pack3DDetInputs', keys=['points'])
train_pipeline = [load_points, load_labels, map_labels, sample_block, pack_train]
# mmdetection3d's own configs leave map_labels out of the test, where SegMetric
# then compares predicted classes with the files' nyu40 ids.
test_pipeline = [load_points, load_labels, map_labels, pack_test]
dataset = dict(
    type='mmdet3d.ScanNetSegDataset',
    data_root=data_root,
    data_prefix=dict(
        pts='points', pts_instance_mask='instance_mask', pts_semantic_mask='semantic_mask'
    ),
    metainfo=dict(classes=class_names),
    modality=dict(use_lidar=True, use_camera=False),
    ignore_index=len(class_names),
)
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=False,
    drop_last=True,
    worker_init_fn=dict(type='mmkd3d.seed_worker'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **dataset,
        ann_file='scannet_infos_train.pkl',
        scene_idxs='seg_info/train_resampled_scene_idxs.npy',
        pipeline=train_pipeline,
        test_mode=False,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset, ann_file='scannet_infos_val.pkl', pipeline=test_pipeline, test_mode=True
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmdet3d.SegMetric')
test_evaluator = val_evaluator
