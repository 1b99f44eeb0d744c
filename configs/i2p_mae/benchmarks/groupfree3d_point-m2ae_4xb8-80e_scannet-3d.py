# mmdetection3d's GroupFree3D for ScanNet on the student of Point-M2AE.
_base_ = './groupfree3d_i2p-mae_4xb8-80e_scannet-3d.py'

model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/point-m2ae_base_1xb128-300e_shapenet55/epoch_301.pth')
    )
)
