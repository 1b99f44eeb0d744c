# Semantic segmentation on S3DIS, tested on area 5, from points with colours:
# ours, a student pretrained on coordinates that learns to read them.
_base_ = [
    '../../_base_/models/act-scene-segmentor_pt-s.py',
    '../../_base_/datasets/s3dis_color.py',
    '../../_base_/schedules/segment_adamw_60e.py',
    '../../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(in_channels=6, init_cfg=dict(allow_missing=['patch_embed.features.'])),
    decode_head=dict(point_channels=6),
)

# As ACT: classes weighted by (max(n) / n)**(1/3) for n points of the class.
default_hooks = dict(class_weight=dict(type='mmkd3d.ClassWeightHook'))
