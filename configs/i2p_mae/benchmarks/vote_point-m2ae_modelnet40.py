# Voting on ModelNet40 (Point-M2AE).
_base_ = './vote_i2p-mae_modelnet40.py'

model = dict(
    backbone=dict(
        group_sizes=(16, 8, 8),
        radii=(0.32, 0.64, 1.28),
        init_cfg=dict(checkpoint='work_dirs/point-m2ae_base_1xb128-300e_shapenet55/epoch_301.pth'),
    ),
    head=dict(label_smoothing=0.3 * 40 / 39),
)
