# ACT's student and a head of three layers (ACT, section 7).
_base_ = './classifier_pt-s.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/act_pt-s_1xb128-300e_shapenet55/epoch_301.pth'
        )
    )
)
