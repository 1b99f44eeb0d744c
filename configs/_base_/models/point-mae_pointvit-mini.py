# Point-MAE for two CPU cores: student 4 x 128, decoder 2 x 128, 32 patches of 32
# points.
model = dict(
    type='PointMAE',
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
    decoder=dict(type='MaskedDecoder', embed_dims=128, depth=2, num_heads=4, drop_path_rate=0.1),
    masker=dict(type='RandomMasker', ratio=0.6),
    loss=dict(type='ChamferLoss', norm='l2'),
)
