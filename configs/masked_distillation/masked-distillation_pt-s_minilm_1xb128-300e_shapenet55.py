_base_ = '../point_mae/point-mae_pt-s_1xb128-300e_shapenet55.py'

model = dict(
    type='MaskedDistillation',
    teacher=dict(type='TextTeacher'),
    loss=dict(_delete_=True, type='CosineLoss'),
)
