# The transformer that was pretrained on objects, as it reads rooms: groups in
# metres, centres as seen from the middle of the room, no class token. Of
# 40,000 points, 32 reach as far in metres as in units of an object. Detectors
# add the number of groups.
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
        checkpoint='work_dirs/point-mae_pt-s_1xb128-300e_shapenet55/epoch_301.pth',
    ),
)
