# semseg_act-pointvit-s_2xb16-60e_scannet.py with colour. Ours: a student that was
# pretrained on coordinates learns to use colours.
_base_ = [
    '../../_base_/models/scene-segmentor_pointvit-s.py',
    '../../_base_/datasets/scannet_seg_color.py',
    '../../_base_/schedules/segment_60e.py',
    '../../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(
        in_channels=6,
        num_groups=512,
        fps_rule='mmcv',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/act_pointvit-s_1xb128-300e_shapenet55/epoch_301.pth',
            allow_unexpected=['cls_'],
            allow_missing=['patch_embed.features.'],
        ),
    ),
    decode_head=dict(
        point_channels=6, num_classes=20, ignore_index=20, class_weight={{_base_.class_weight}}
    ),
    test_cfg=dict(num_points=8192, block_size=1.5, batch_size=16),
)
