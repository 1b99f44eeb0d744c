# Semantic segmentation on ScanNet, tested on the validation scans: ours, with
# the blocks and class weights of mmdetection3d's PointNet++ and the schedule
# of ACT on S3DIS. Blocks of four times as many points have four times as
# many patches, and no point is left out of them (fps_rule).
_base_ = [
    '../../_base_/models/act-scene-segmentor_pt-s.py',
    '../../_base_/datasets/scannet_seg.py',
    '../../_base_/schedules/segment_adamw_60e.py',
    '../../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(num_groups=512, fps_rule='mmcv'),
    decode_head=dict(num_classes=20, ignore_index=20, class_weight={{_base_.class_weight}}),
    test_cfg=dict(num_points=8192, block_size=1.5, batch_size=16),
)
