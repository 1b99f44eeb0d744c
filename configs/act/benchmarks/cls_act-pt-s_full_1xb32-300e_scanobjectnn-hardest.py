# Finetuning on PB_T50_RS, the hardest variant of ScanObjectNN.
_base_ = [
    '../../_base_/models/act-classifier_pt-s.py',
    '../../_base_/datasets/scanobjectnn.py',
    '../../_base_/schedules/finetune_adamw_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='RandomRotation')]),
    backbone=dict(num_groups=128),
    head=dict(num_classes=15),
)
param_scheduler = dict(min_lr=1e-7)
