# Part segmentation of your shapes in one npz file: set the file, the names of
# its arrays and how many part labels and categories there are; a wrong number
# is an error that says the right one. Predictions are any label; those of the
# category alone: model.category_parts=[[0, 1], [2, 3], ...].
_base_ = [
    '../../_base_/models/act-part-segmentor_pt-s.py',
    '../../_base_/datasets/npz_parts.py',
    '../../_base_/schedules/segment_adamw_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/point-mae_pt-s_1xb128-300e_shapenet55/epoch_301.pth',
        )
    ),
    head=dict(num_classes=8, num_categories=2),
    category_parts=None,
)
