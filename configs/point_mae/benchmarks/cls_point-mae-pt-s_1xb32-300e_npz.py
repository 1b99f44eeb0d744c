# Finetuning on your shapes in one npz file: set the file, the names of its
# arrays and the number of classes; a wrong number is an error that says the
# right one.
_base_ = [
    '../../_base_/models/classifier_pt-s.py',
    '../../_base_/datasets/npz_cls.py',
    '../../_base_/schedules/finetune_adamw_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/point-mae_pt-s_1xb128-300e_shapenet55/epoch_301.pth',
            allow_missing=['cls_'],
        )
    ),  # pretrained without a class token
    head=dict(num_classes=10),
)
