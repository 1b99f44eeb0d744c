# PointM2AE on rooms (see pointvit-s.py). TokensToSeeds interpolates the coarser levels to
# the finest tokens. Detectors add num_groups.
student = dict(
    type='mmkd3d.PointM2AE',
    level_dims=(96, 192, 384),
    depths=(5, 5, 5),
    num_heads=6,
    group_sizes=(32, 16, 16),
    radii=(0.4, 0.8, 1.6),
    fps_rule='mmcv',
    pos_scale='scene',
    init_cfg=dict(
        type='Pretrained', checkpoint='work_dirs/i2p-mae-b_1xb64-300e_shapenet55/epoch_301.pth'
    ),
)
