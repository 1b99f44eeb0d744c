# Semantic segmentation on S3DIS, tested on area 5.
_base_ = [
    '../../_base_/models/scene-segmentor_pointvit-s.py',
    '../../_base_/datasets/s3dis.py',
    '../../_base_/schedules/segment_60e.py',
    '../../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/act_pointvit-s_1xb128-300e_shapenet55/epoch_301.pth',
            allow_unexpected=['cls_'],
        )
    )
)
# As ACT: classes weighted by (max(n) / n)**(1/3) for n points of the class.
default_hooks = dict(class_weight=dict(type='mmkd3d.ClassWeightHook'))
