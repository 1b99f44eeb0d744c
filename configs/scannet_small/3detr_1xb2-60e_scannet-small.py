# A small 3DETR (512 tokens of 32 points, 128 queries, 4 layers) on the 13 scans,
# with as many steps as the other detectors here. 3DETR needs many more. Two CPU
# cores.
_base_ = [
    '../_base_/models/3detr.py',
    '../_base_/datasets/scannet_small.py',
    '../_base_/schedules/detect_60e.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(num_groups=512, group_size=32, radius=0.3),
    bbox_head=dict(num_queries=128, depth=4),
)
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(
    optimizer=dict(lr=5e-4, weight_decay=0.1),
    clip_grad=dict(max_norm=0.1),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=1.0)}),
)
auto_scale_lr = dict(base_batch_size=2)
