_base_ = 'mmdet3d::_base_/default_runtime.py'

sync_bn = 'torch'  # norms of several GPUs see the whole batch, as published
default_hooks = dict(
    checkpoint=dict(type='mmkd3d.CheckpointHook', interval=10),
    classes=dict(type='mmkd3d.CheckClassesHook'),
    visualization=dict(type='mmkd3d.DetectionVisualizationHook'),
)
custom_hooks = [dict(type='mmkd3d.FiniteLossHook'), dict(type='mmkd3d.ReseedHook')]
custom_imports = dict(imports=['mmkd3d'], allow_failed_imports=False)
