# Semantic segmentation on S3DIS, tested on area 5. Ours, with ACT's data and
# schedule.
_base_ = [
    '../../_base_/models/scene-segmentor_pointvit-s.py',
    '../../_base_/datasets/s3dis.py',
    '../../_base_/schedules/segment_60e.py',
    '../../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

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
        fps_rule='mmcv',  # use all points of a room
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/i2p-mae-b_1xb64-300e_shapenet55/epoch_301.pth'
        ),
    ),
    decode_head=dict(type='mmkd3d.PyramidSegHead', in_channels=(96, 192, 384)),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.embeds.': dict(decay_mult=0.0)}))
# As ACT: classes weighted by (max(n) / n)**(1/3) for n points of the class.
default_hooks = dict(class_weight=dict(type='mmkd3d.ClassWeightHook'))
