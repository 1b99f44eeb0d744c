# The plain student of 4 x 128 and a head of three layers.
model = dict(
    type='PointClassifier',
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        type='PointTransformer',
        embed_dims=128,
        depth=4,
        num_heads=4,
        num_groups=32,
        group_size=32,
        patch_dims=(32, 64),
        drop_path_rate=0.1,
        with_cls_token=False,
    ),
    head=dict(type='ClsHead', in_channels=128, num_classes=40, pooling=('max', 'mean')),
)
