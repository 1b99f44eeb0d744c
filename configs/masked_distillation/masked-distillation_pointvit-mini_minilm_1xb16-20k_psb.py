# point-mae_pointvit-mini_1xb16-20k_psb.py with another target.
_base_ = '../point_mae/point-mae_pointvit-mini_1xb16-20k_psb.py'

model = dict(
    type='MaskedDistillation',
    teacher=dict(type='TextTeacher'),
    loss=dict(_delete_=True, type='CosineLoss'),
)
