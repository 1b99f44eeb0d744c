# mmdetection3d's GroupFree3D for ScanNet on ACT's student.
_base_ = '../../point_mae/benchmarks/groupfree3d_point-mae-pt-s_4xb8-80e_scannet-3d.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            checkpoint='work_dirs/act_pt-s_1xb128-300e_shapenet55/epoch_301.pth',
            allow_unexpected=['cls_'],
        )
    )
)  # detectors have no class token
