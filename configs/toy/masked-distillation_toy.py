_base_ = './point-mae_toy.py'

model = dict(
    type='MaskedDistillation',
    teacher=dict(type='TextTeacher'),
    loss=dict(_delete_=True, type='CosineLoss'),
)
