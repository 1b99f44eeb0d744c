# 3D detection on ToyRooms, which are made from a seed on first use: mmdetection3d's
# VoteNet head on the mini student. Weights of a pretraining run
# (point-mae_toy.py, masked-distillation_toy.py, concept_toy.py):
#   --cfg-options model.backbone.init_cfg.type=Pretrained \
#       model.backbone.init_cfg.checkpoint=work_dirs/point-mae_toy/epoch_6.pth
_base_ = [
    '../_base_/models/votenet_scannet.py',
    '../_base_/students/pointvit-mini.py',
    '../_base_/datasets/scannet_small.py',
    '../_base_/schedules/detect_60e.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(_delete_=True, **_base_.student),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=128, out_channels=256),
    bbox_head=dict(vote_aggregation_cfg=dict(num_point=128)),
)
data_root = 'data/toy_rooms'
rooms = dict(num_train=48, num_val=16, num_points=20000, seed=0)
toy = dict(type='mmkd3d.ToyRooms', data_root=data_root, rooms=rooms)
train_dataloader = dict(dataset=toy)
val_dataloader = dict(dataset=toy)
test_dataloader = dict(dataset=toy)
val_evaluator = dict(type='mmdet3d.IndoorMetric')
test_evaluator = val_evaluator
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=20),
    dict(type='CosineAnnealingLR', T_max=24, eta_min_ratio=0.01, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=24, val_interval=24)
