# Finetuning on your shapes in folders of classes, with a hundred labels and more. The student is
# a shipped one; init_cfg=None trains from scratch. Set the data and the number of classes;
# the error for a wrong number shows the right one.
_base_ = [
    '../_base_/models/classifier_pointvit-mini.py',
    '../_base_/datasets/folder_cls.py',
    '../_base_/schedules/finetune_many.py',
    '../_base_/iter_runtime.py',
]

model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='joint-mini')),
    head=dict(num_classes=10),
)
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
