# VoteNet learns from an image network beside detection: its seeds are found in
# posed frames of the scans, where these are, and are led to what a MobileNetV2
# says there. Make its weights with tools/prepare_data/mobilenetv2_teacher.py.
_base_ = '../scannet_small/votenet_pointnet2_1xb2-60e_scannet-small.py'

custom_hooks = _base_.custom_hooks + [
    dict(
        type='mmkd3d.DistillationHook',
        target=dict(
            type='mmkd3d.PointTarget',
            teacher=dict(
                type='mmkd3d.TimmTeacher',
                model_name='mobilenetv2_100',
                model_kwargs=dict(pad_type='same'),
                mean=(0.5, 0.5, 0.5),
                std=(0.5, 0.5, 0.5),
                checkpoint='weights/mobilenetv2_100.safetensors',
            ),
            views=dict(type='mmkd3d.PosedFrames', num_views=4),
        ),
        student='backbone',
        frames=dict(root='data/scannet_small/posed_images', num_frames=4),
        loss=dict(type='mmkd3d.CosineLoss', loss_weight=0.5),
        until=0.8,
    )
]
