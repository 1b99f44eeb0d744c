# VoteNet with distillation beside detection: the seeds that are visible in posed frames
# of the scans learn the features of an EfficientNet-Lite2 (pip install
# "mmkd3d[image]").
_base_ = '../scannet_small/votenet_pointnet2_1xb2-60e_scannet-small.py'

custom_hooks = _base_.custom_hooks + [
    dict(
        type='mmkd3d.DistillationHook',
        target=dict(
            type='mmkd3d.PointTarget',
            teacher=dict(type='mmkd3d.ImageNetTeacher', size=(192, 256)),
            views=dict(type='mmkd3d.PosedFrames', num_views=4),
        ),
        student='backbone',
        frames=dict(root='data/scannet_small/posed_images', num_frames=4),
        loss=dict(type='mmkd3d.CosineLoss', loss_weight=0.5),
        until=0.8,
    )
]
