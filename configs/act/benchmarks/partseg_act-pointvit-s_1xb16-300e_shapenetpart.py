# Part segmentation on ShapeNetPart, 2,048 points.
_base_ = [
    '../../_base_/models/part-segmentor_pointvit-s.py',
    '../../_base_/datasets/shapenetpart.py',
    '../../_base_/schedules/segment_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/act_pointvit-s_1xb128-300e_shapenet55/epoch_301.pth',
            allow_unexpected=['cls_'],
        )
    )
)
