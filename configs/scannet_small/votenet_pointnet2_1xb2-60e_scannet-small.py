# mmdetection3d's own VoteNet, PointNet++ backbone, on the same scans and with
# the same schedule as votenet_pointvit-mini_1xb2-60e_scannet-small.py.
_base_ = [
    '../_base_/models/votenet_scannet.py',
    '../_base_/datasets/scannet_small.py',
    '../_base_/schedules/detect_60e.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(in_channels=3, num_points=(1024, 512, 256, 128), num_samples=(32, 32, 16, 16)),
    bbox_head=dict(vote_aggregation_cfg=dict(num_point=128)),
)
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=1.0)}))
auto_scale_lr = dict(base_batch_size=2)
