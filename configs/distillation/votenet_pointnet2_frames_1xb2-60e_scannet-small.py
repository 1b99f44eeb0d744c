# VoteNet with distillation beside detection: the seeds that are visible in posed frames
# of the scans learn the features of a MobileNetV2. Make its weights with
# tools/prepare_data/mobilenetv2_teacher.py.
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
