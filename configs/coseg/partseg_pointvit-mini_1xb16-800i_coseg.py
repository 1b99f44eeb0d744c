# Part segmentation of COSEG's aliens and vases with the small plain student, from scratch.
# To start from a pretrained student: model.backbone.init_cfg.type=Pretrained
# model.backbone.init_cfg.checkpoint=NAME_OR_FILE; from one with a class token, which is not
# used here: also model.backbone.init_cfg.allow_unexpected=[cls_].
_base_ = [
    '../_base_/models/part-segmentor_pointvit-mini.py',
    '../_base_/datasets/coseg.py',
    '../_base_/schedules/finetune_many.py',
    '../_base_/iter_runtime.py',
]

model = dict(
    head=dict(num_classes=8, num_categories=2), category_parts=[[0, 1, 2, 3], [4, 5, 6, 7]]
)
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
