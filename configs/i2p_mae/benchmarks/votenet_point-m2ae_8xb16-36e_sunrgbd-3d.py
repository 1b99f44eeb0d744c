# mmdetection3d's VoteNet for SUN RGB-D on the student of Point-M2AE.
_base_ = './votenet_i2p-mae_8xb16-36e_sunrgbd-3d.py'

model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/point-m2ae_base_1xb128-300e_shapenet55/epoch_301.pth')
    )
)
