# Blocks for two CPU cores from a few ScanNet scans: 2,048 points of 1 m x 1 m,
# as ACT samples S3DIS.
_base_ = './scannet_seg.py'

scans = dict(data_root='data/scannet_small')
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(
        **scans,
        pipeline=[
            {{_base_.load_points}},
            {{_base_.load_labels}},
            {{_base_.map_labels}},
            dict(
                type='mmdet3d.IndoorPatchPointSample',
                num_points=2048,
                block_size=1.0,
                ignore_index=20,
                use_normalized_coord=False,
                enlarge_size=None,
                min_unique_num=1025,
            ),
            dict(
                type='mmdet3d.GlobalRotScaleTrans',
                rot_range=[-3.1416, 3.1416],
                scale_ratio_range=[0.8, 1.25],
                translation_std=[0, 0, 0],
            ),
            {{_base_.pack_train}},
        ],
    ),
)
val_dataloader = dict(num_workers=0, dataset=scans)
test_dataloader = val_dataloader
test_blocks = dict(
    mode='slide',
    num_points=2048,
    block_size=1.0,
    sample_rate=0.5,
    use_normalized_coord=False,
    batch_size=32,
)
