# Point-MAE's student and decoder: 12 x 384 and 4 x 384.
model = dict(
    type='PointMAE',
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        type='PointTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=64,
        group_size=32,
        drop_path_rate=0.1,
        with_cls_token=False,
    ),
    decoder=dict(type='MaskedDecoder', embed_dims=384, depth=4, num_heads=6, drop_path_rate=0.1),
    masker=dict(type='RandomMasker', ratio=0.6),
    loss=dict(type='ChamferLoss', norm='l2'),
)
