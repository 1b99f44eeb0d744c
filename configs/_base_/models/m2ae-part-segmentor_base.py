# The hierarchical student, all its levels, and the head for the 16 categories
# and 50 parts of ShapeNetPart (Point-M2AE; spec, section 12).
_base_ = './act-part-segmentor_pt-s.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='PointM2AE',
        level_dims=(96, 192, 384),
        depths=(5, 5, 5),
        num_heads=6,
        num_groups=(512, 256, 64),
        group_sizes=(16, 8, 8),
        radii=(0.32, 0.64, 1.28),
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/i2p-mae_base_1xb64-300e_shapenet55/epoch_301.pth',
        ),
    ),
    head=dict(
        _delete_=True,
        type='PyramidSegHead',
        in_channels=(96, 192, 384),
        num_classes=50,
        num_categories=16,
    ),
)
