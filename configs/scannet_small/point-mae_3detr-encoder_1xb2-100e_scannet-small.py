# Point-MAE on whole rooms for the encoder of the small 3DETR.
_base_ = './point-mae_pointvit-mini_1xb2-100e_scannet-small.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd3d.ThreeDETREncoder',
        with_pos=True,
        with_norm=True,
        num_groups=512,
        group_size=32,
        radius=0.3,
        pos_scale='scene',
    ),
    decoder=dict(embed_dims=256, num_heads=4),
)
