# PointTransformer of ViT-S size on rooms, pretrained on objects: patches in metres,
# centres relative to the middle of the room, no class token. With 40,000 points, 32
# neighbours span about as many metres here as units in an object. Detectors add
# num_groups.
student = dict(
    type='mmkd3d.PointTransformer',
    embed_dims=384,
    depth=12,
    num_heads=6,
    group_size=32,
    with_cls_token=False,
    fps_rule='mmcv',
    pos_scale='scene',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='work_dirs/point-mae_pointvit-s_1xb128-300e_shapenet55/epoch_301.pth',
    ),
)
