# 3DETR on SUN RGB-D on ACT's student.
_base_ = '../../point_mae/benchmarks/3detr_point-mae-pt-s_1xb8-1080e_sunrgbd-3d.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='work_dirs/act_pt-s_1xb128-300e_shapenet55/epoch_301.pth',
            allow_unexpected=['cls_'],
        )
    )
)  # detectors have no class token
