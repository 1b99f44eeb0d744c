# Point-M2AE: 512, 256 and 64 tokens of 96, 192 and 384 channels, five blocks each; two
# levels are decoded. The published config sets radii of attention, which have no effect
# in pretraining.
model = dict(
    type='M2AE',
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        type='PointM2AE',
        level_dims=(96, 192, 384),
        depths=(5, 5, 5),
        num_heads=6,
        num_groups=(512, 256, 64),
        group_sizes=(16, 8, 8),
        drop_path_rate=0.1,
        index_zero_visible=True,
    ),  # as published; False is the sane choice
    decoder=dict(
        type='M2AEDecoder', stage_dims=(384, 192), depths=(1, 1), num_heads=6, drop_path_rate=0.1
    ),
    masker=dict(type='RandomMasker', ratio=0.8),
    losses=dict(chamfer=dict(type='ChamferLoss', norm='l2')),
    num_pred_points=16,
)  # of patches of 8, as published
