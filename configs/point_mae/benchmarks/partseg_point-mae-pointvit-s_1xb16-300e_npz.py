# Part segmentation of your shapes in one npz file: set the file, the names of its arrays
# and the numbers of part labels and categories. The error for a wrong number shows the
# right one. To allow only the labels of a shape's category: model.category_parts=[[0, 1],
# [2, 3], ...].
_base_ = [
    '../../_base_/models/part-segmentor_pointvit-s.py',
    '../../_base_/datasets/npz_parts.py',
    '../../_base_/schedules/segment_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/point-mae_pointvit-s_1xb128-300e_shapenet55/epoch_301.pth',
        )
    ),
    head=dict(num_classes=8, num_categories=2),
    category_parts=None,
)
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
