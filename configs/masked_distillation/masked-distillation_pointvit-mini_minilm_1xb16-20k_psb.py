# point-mae_pointvit-mini_1xb16-20k_psb.py with another target.
_base_ = [
    '../_base_/models/point-mae_pointvit-mini.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

model = dict(
    type='MaskedDistillation',
    teacher=dict(type='TextTeacher'),
    loss=dict(_delete_=True, type='CosineLoss'),
)
