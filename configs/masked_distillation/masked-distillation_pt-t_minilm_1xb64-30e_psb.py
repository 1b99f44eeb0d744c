# As point-mae_pt-t_1xb64-30e_psb.py; only the target is another.
_base_ = '../point_mae/point-mae_pt-t_1xb64-30e_psb.py'

model = dict(
    type='MaskedDistillation',
    teacher=dict(type='TextTeacher'),
    loss=dict(_delete_=True, type='CosineLoss'),
)
