# Semantic segmentation on ScanNet, tested on the validation scans. Ours: the blocks and
# class weights of mmdetection3d's PointNet++, and ACT's schedule for S3DIS. Blocks have
# four times as many points and patches as in S3DIS, and every point is in a patch
# (fps_rule).
_base_ = [
    '../../_base_/models/scene-segmentor_pointvit-s.py',
    '../../_base_/datasets/scannet_seg.py',
    '../../_base_/schedules/segment_60e.py',
    '../../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(
        num_groups=512,
        fps_rule='mmcv',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/act_pointvit-s_1xb128-300e_shapenet55/epoch_301.pth',
            allow_unexpected=['cls_'],
        ),
    ),
    decode_head=dict(num_classes=20, ignore_index=20, class_weight={{_base_.class_weight}}),
    test_cfg=dict(num_points=8192, block_size=1.5, batch_size=16),
)
