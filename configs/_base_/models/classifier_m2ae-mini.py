# The small hierarchical student, for Point-M2AE and I2P-MAE. As in their finetuning, the
# last norm is not loaded.
_base_ = './classifier_pointvit-mini.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='PointM2AE',
        level_dims=(32, 64, 128),
        depths=(2, 2, 2),
        num_heads=4,
        num_groups=(128, 64, 32),
        group_sizes=(16, 4, 4),
        patch_dims=(32, 64),
        drop_path_rate=0.1,
        norm_levels=(),
    ),
    head=dict(norm=True, pooling=('mean', 'max')),
)
