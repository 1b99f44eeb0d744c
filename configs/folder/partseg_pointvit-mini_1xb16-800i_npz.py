# Part segmentation of your shapes in one npz file: set the file, the names of its arrays
# and the numbers of part labels and categories. The error for a wrong number shows the
# right one. To allow only the labels of a shape's category: model.category_parts=[[0, 1],
# [2, 3], ...]. The student is a shipped one; init_cfg=None trains from scratch.
_base_ = [
    '../_base_/models/part-segmentor_pointvit-mini.py',
    '../_base_/datasets/npz_parts.py',
    '../_base_/schedules/finetune_many.py',
    '../_base_/iter_runtime.py',
]

model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='joint-mini')),
    head=dict(num_classes=8, num_categories=2),
    category_parts=None,
)
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
