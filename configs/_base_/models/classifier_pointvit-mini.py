# The plain student of 4 x 128 and a head of three layers.
_base_ = './classifier_pointvit-s.py'

model = dict(
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        embed_dims=128,
        depth=4,
        num_heads=4,
        num_groups=32,
        patch_dims=(32, 64),
        with_cls_token=False,
    ),
    head=dict(in_channels=128, pooling=('max', 'mean')),
)
