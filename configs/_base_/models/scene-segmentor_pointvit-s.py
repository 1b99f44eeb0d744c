# mmdetection3d's EncoderDecoder3D on three levels of PointTransformer (ViT-S size), for
# blocks of 2,048 points of S3DIS.
model = dict(
    type='mmdet3d.EncoderDecoder3D',
    data_preprocessor=dict(type='mmdet3d.Det3DDataPreprocessor'),
    backbone=dict(
        type='mmkd3d.PointTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=128,
        group_size=32,
        drop_path_rate=0.1,
        with_cls_token=False,
        out_indices=(3, 7, 11),
    ),
    decode_head=dict(type='mmkd3d.PointSegHead', in_channels=384, num_classes=13, ignore_index=13),
    train_cfg=dict(),
    test_cfg=dict(
        mode='slide',
        num_points=2048,
        block_size=1.0,
        sample_rate=0.5,
        use_normalized_coord=False,
        batch_size=32,
    ),
)
