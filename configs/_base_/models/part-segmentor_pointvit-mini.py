# The plain student of 4 x 128 and a head that reads three of its blocks.
_base_ = './part-segmentor_pointvit-s.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='PointTransformer',
        embed_dims=128,
        depth=4,
        num_heads=4,
        num_groups=32,
        group_size=32,
        patch_dims=(32, 64),
        with_cls_token=False,
        out_indices=(1, 2, 3),
    ),
    head=dict(in_channels=128, propagation_dims=(256, 128), hidden_dims=(128, 64)),
)
