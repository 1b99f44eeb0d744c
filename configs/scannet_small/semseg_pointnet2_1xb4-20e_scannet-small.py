# mmdetection3d's PointNet++ with its own schedule, on the same blocks as the students.
_base_ = [
    'mmdet3d::_base_/models/pointnet2_ssg.py',
    '../_base_/datasets/scannet_small_seg.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(in_channels=3),
    decode_head=dict(num_classes=20, ignore_index=20),
    test_cfg={{_base_.test_blocks}},
)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, weight_decay=1e-2, fused=True)
)
param_scheduler = dict(type='CosineAnnealingLR', T_max=20, eta_min=1e-5, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=20)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=4)
