# Finetuning on ModelNet40, 1,024 points (Point-M2AE).
_base_ = './cls_i2p-mae-b_1xb32-300e_modelnet40.py'

model = dict(
    backbone=dict(
        group_sizes=(16, 8, 8),
        radii=(0.32, 0.64, 1.28),
        init_cfg=dict(checkpoint='work_dirs/point-m2ae-b_1xb128-300e_shapenet55/epoch_301.pth'),
    ),
    head=dict(label_smoothing=0.3 * 40 / 39),
)
