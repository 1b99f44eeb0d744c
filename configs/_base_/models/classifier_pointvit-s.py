# PointTransformer of ViT-S size (12 x 384) and a head of three layers.
model = dict(
    type='PointClassifier',
    backbone=dict(
        type='PointTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=64,
        group_size=32,
        drop_path_rate=0.1,
    ),
    head=dict(type='ClsHead', in_channels=384, num_classes=40),
)
