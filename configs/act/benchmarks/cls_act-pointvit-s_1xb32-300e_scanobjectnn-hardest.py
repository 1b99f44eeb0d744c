# Finetuning on PB_T50_RS, the hardest variant of ScanObjectNN. For the others set
# VARIANT=obj_bg or VARIANT=obj_only in the environment.
_base_ = [
    '../../_base_/models/classifier_pointvit-s.py',
    '../../_base_/datasets/scanobjectnn.py',
    '../../_base_/schedules/finetune_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='RandomRotation')]),
    backbone=dict(
        num_groups=128,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/act_pointvit-s_1xb128-300e_shapenet55/epoch_301.pth',
        ),
    ),
    head=dict(num_classes=15),
)
param_scheduler = dict(min_lr=1e-7)
