# mmdetection3d's VoteNet for SUN RGB-D with our student. Data, head, schedule and
# evaluation are mmdetection3d's.
_base_ = ['mmdet3d::votenet/votenet_8xb16_sunrgbd-3d.py', '../../_base_/students/pointvit-s.py']

model = dict(
    backbone=dict(_delete_=True, num_groups=1024, **_base_.student),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=384, out_channels=256),
)
# VoteNet's learning rate is far too high for a pretrained transformer.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.05)}))
train_dataloader = dict(worker_init_fn=dict(type='mmkd3d.seed_worker'))
val_evaluator = dict(type='mmkd3d.IndoorMetric')
test_evaluator = val_evaluator
default_hooks = dict(
    checkpoint=dict(type='mmkd3d.CheckpointHook'),
    classes=dict(type='mmkd3d.CheckClassesHook'),
    visualization=dict(type='mmkd3d.DetectionVisualizationHook'),
)
custom_hooks = [dict(type='mmkd3d.ReseedHook'), dict(type='mmkd3d.FiniteLossHook')]
custom_imports = dict(imports=['mmkd3d'], allow_failed_imports=False)
