# Semantic segmentation on ScanNet from points with colours: ours, a student
# pretrained on coordinates that learns to read them. Otherwise as
# semseg_i2p-mae_2xb16-60e_scannet.py.
_base_ = [
    '../../_base_/models/m2ae-scene-segmentor_base.py',
    '../../_base_/datasets/scannet_seg_color.py',
    '../../_base_/schedules/segment_m2ae_60e.py',
    '../../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(
        in_channels=6,
        num_groups=(1024, 512, 128),
        init_cfg=dict(allow_missing=['embeds.0.features.']),
    ),
    decode_head=dict(
        point_channels=6, num_classes=20, ignore_index=20, class_weight={{_base_.class_weight}}
    ),
    test_cfg=dict(num_points=8192, block_size=1.5, batch_size=16),
)
