# mmdetection3d's segmentor of rooms with the hierarchical student.
_base_ = './act-scene-segmentor_pt-s.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd3d.PointM2AE',
        level_dims=(96, 192, 384),
        depths=(5, 5, 5),
        num_heads=6,
        num_groups=(512, 256, 64),
        group_sizes=(16, 8, 8),
        radii=(0.32, 0.64, 1.28),
        fps_rule='mmcv',  # no point of a room is left out
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/i2p-mae_base_1xb64-300e_shapenet55/epoch_301.pth',
        ),
    ),
    decode_head=dict(type='mmkd3d.PyramidSegHead', in_channels=(96, 192, 384)),
)
