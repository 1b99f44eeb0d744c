# Part segmentation on ShapeNetPart, 2,048 points (Point-M2AE).
_base_ = './partseg_i2p-mae-b_1xb16-300e_shapenetpart.py'

model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/point-m2ae-b_1xb128-300e_shapenet55/epoch_301.pth')
    )
)
