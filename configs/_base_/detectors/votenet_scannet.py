# mmdetection3d's VoteNet for ScanNet: data, head, schedule. Configs add the student and a
# neck.
_base_ = 'mmdet3d::votenet/votenet_8xb8_scannet-3d.py'

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
