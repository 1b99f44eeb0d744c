# Point-M2AE for two CPU cores: 128, 64 and 32 tokens of 32, 64 and 128
# channels, two blocks each. Patches of four tokens hide about as much of each
# level as the published ones do. Masked patches are not embedded (ours).
_base_ = './point-m2ae_base.py'

model = dict(
    backbone=dict(
        level_dims=(32, 64, 128),
        depths=(2, 2, 2),
        num_heads=4,
        num_groups=(128, 64, 32),
        group_sizes=(16, 4, 4),
        patch_dims=(32, 64),
        embed_masked=False,
        index_zero_visible=False,
    ),
    decoder=dict(stage_dims=(128, 64), num_heads=4),
    num_pred_points=None,
)
