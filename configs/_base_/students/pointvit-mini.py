# The mini student (4 x 128) on rooms: 256 patches of 32 points, in metres.
student = dict(
    type='mmkd3d.PointTransformer',
    embed_dims=128,
    depth=4,
    num_heads=4,
    num_groups=256,
    group_size=32,
    patch_dims=(32, 64),
    with_cls_token=False,
    fps_rule='mmcv',
    pos_scale='scene',
)
