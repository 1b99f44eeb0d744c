# 3DETR on SUN RGB-D on the student of Point-M2AE.
_base_ = './3detr_i2p-mae_1xb8-1080e_sunrgbd-3d.py'

model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/point-m2ae_base_1xb128-300e_shapenet55/epoch_301.pth')
    )
)
