# A small 3DETR on the 13 unpacked scans, with as many steps as the others here
# get. 3DETR is known to need many more. Two CPU cores.
_base_ = [
    '../_base_/models/3detr_small.py',
    '../_base_/datasets/scannet_small.py',
    '../_base_/schedules/detect_adamw_60e.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

train_dataloader = dict(batch_size=2)
optim_wrapper = dict(
    optimizer=dict(lr=5e-4, weight_decay=0.1),
    clip_grad=dict(max_norm=0.1),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=1.0)}),
)
auto_scale_lr = dict(base_batch_size=2)
