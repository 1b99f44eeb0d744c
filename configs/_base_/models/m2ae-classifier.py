# The hierarchical student with attention within a radius, and a head of three layers on
# mean and maximum of its top level. As published, the last norm is new; to keep the
# pretrained one: norm_levels=(2, ), and norm=False in the head.
model = dict(
    type='PointClassifier',
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        type='PointM2AE',
        level_dims=(96, 192, 384),
        depths=(5, 5, 5),
        num_heads=6,
        num_groups=(512, 256, 64),
        group_sizes=(16, 8, 8),
        radii=(0.32, 0.64, 1.28),
        drop_path_rate=0.1,
        norm_levels=(),
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/i2p-mae-b_1xb64-300e_shapenet55/epoch_301.pth'
        ),
    ),
    head=dict(type='ClsHead', in_channels=384, num_classes=40, norm=True, pooling=('mean', 'max')),
)
