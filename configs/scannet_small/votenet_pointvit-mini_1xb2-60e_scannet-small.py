# VoteNet with the mini student, each patch a seed, pretrained by Point-MAE on generated shapes.
# 13 ScanNet scans (10 train, 3 val), two CPU cores.
_base_ = [
    '../_base_/models/votenet_scannet.py',
    '../_base_/students/pointvit-mini.py',
    '../_base_/datasets/scannet_small.py',
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
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=128, out_channels=256),
    bbox_head=dict(vote_aggregation_cfg=dict(num_point=128)),
)
train_dataloader = dict(batch_size=2)
auto_scale_lr = dict(base_batch_size=2)
