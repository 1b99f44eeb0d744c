# Semantic segmentation on ScanNet from points with colours: ours, a student
# pretrained on coordinates that learns to read them. Otherwise as
# semseg_act-pt-s_2xb16-60e_scannet.py.
_base_ = [
    '../../_base_/models/act-scene-segmentor_pt-s.py',
    '../../_base_/datasets/scannet_seg_color.py',
    '../../_base_/schedules/segment_adamw_60e.py',
    '../../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(
        in_channels=6,
        num_groups=512,
        fps_rule='mmcv',
        init_cfg=dict(allow_missing=['patch_embed.features.']),
    ),
    decode_head=dict(
        point_channels=6, num_classes=20, ignore_index=20, class_weight={{_base_.class_weight}}
    ),
    test_cfg=dict(num_points=8192, block_size=1.5, batch_size=16),
)
