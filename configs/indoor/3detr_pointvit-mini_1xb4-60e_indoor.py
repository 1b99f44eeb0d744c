# 3DETR with the mini student on scans and classes of your own: change num_classes; for
# boxes with a yaw also num_angle_bins=12 and criterion=dict(loss_weights=dict(giou=0)).
_base_ = [
    '../_base_/models/3detr.py',
    '../_base_/students/pointvit-mini.py',
    '../_base_/datasets/indoor_det3d.py',
    '../_base_/schedules/detect_60e.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(
        _delete_=True,
        **_base_.student,
        init_cfg=dict(type='Pretrained', checkpoint='point-mae-mini'),
    ),
    bbox_head=dict(num_classes=3, in_channels=128, num_queries=128, depth=4, fps_rule='mmcv'),
)
optim_wrapper = dict(
    optimizer=dict(lr=5e-4, weight_decay=0.1),
    clip_grad=dict(max_norm=0.1),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=1.0)}),
)
