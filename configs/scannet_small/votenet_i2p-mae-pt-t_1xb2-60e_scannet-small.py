# As votenet_pt-t_1xb2-60e_scannet-small.py, on the hierarchical student of
# ../i2p_mae/i2p-mae_pt-t_1xb16-20e_psb.py: 256 seeds, the tokens of the finest
# level, to which the others are carried.
_base_ = './votenet_pt-t_1xb2-60e_scannet-small.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd3d.PointM2AE',
        level_dims=(32, 64, 128),
        depths=(2, 2, 2),
        num_heads=4,
        num_groups=(256, 128, 64),
        group_sizes=(32, 8, 8),
        patch_dims=(32, 64),
        fps_rule='mmcv',
        pos_scale='scene',
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/i2p-mae_pt-t_1xb16-20e_psb/epoch_20.pth'
        ),
    ),
    neck=dict(in_channels=(32, 64, 128), num_levels=3),
)
