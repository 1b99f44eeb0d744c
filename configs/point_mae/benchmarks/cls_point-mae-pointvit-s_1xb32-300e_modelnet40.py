# Finetuning on ModelNet40, 1,024 points (Point-MAE's recipe).
_base_ = [
    '../../_base_/models/classifier_pointvit-s.py',
    '../../_base_/datasets/modelnet40.py',
    '../../_base_/schedules/finetune_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/point-mae_pointvit-s_1xb128-300e_shapenet55/epoch_301.pth',
            allow_missing=['cls_'],
        )
    ),
)  # pretrained without a class token
