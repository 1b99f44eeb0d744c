# Point-M2AE for two CPU cores: 128, 64 and 32 tokens of 32, 64 and 128 channels, two
# blocks each. Patches of four tokens mask about as much of each level as the published
# ones. Ours: masked patches are not embedded.
model = dict(
    type='M2AE',
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        type='PointM2AE',
        level_dims=(32, 64, 128),
        depths=(2, 2, 2),
        num_heads=4,
        num_groups=(128, 64, 32),
        group_sizes=(16, 4, 4),
        patch_dims=(32, 64),
        drop_path_rate=0.1,
        embed_masked=False,
        index_zero_visible=False,
    ),
    decoder=dict(
        type='M2AEDecoder', stage_dims=(128, 64), depths=(1, 1), num_heads=4, drop_path_rate=0.1
    ),
    masker=dict(type='RandomMasker', ratio=0.8),
    losses=dict(chamfer=dict(type='ChamferLoss', norm='l2')),
    num_pred_points=None,
)
