# mmdetection3d's VoteNet for SUN RGB-D with the hierarchical student as its
# backbone.
_base_ = [
    'mmdet3d::votenet/votenet_8xb16_sunrgbd-3d.py',
    '../../_base_/students/i2p-mae.py'
]

model = dict(
    backbone=dict(
        _delete_=True, num_groups=(1024, 512, 128), **_base_.student),
    neck=dict(
        type='mmkd3d.TokensToSeeds',
        in_channels=(96, 192, 384),
        out_channels=256,
        num_levels=3))

# VoteNet's learning rate is far too high for a pretrained transformer.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.05)}))
default_hooks = dict(
    checkpoint=dict(type='mmkd3d.CheckpointHook'),
    classes=dict(type='mmkd3d.CheckClassesHook'),
    visualization=dict(type='mmkd3d.DetectionVisualizationHook'))
custom_hooks = [dict(type='mmkd3d.FiniteLossHook')]
custom_imports = dict(imports=['mmkd3d'], allow_failed_imports=False)
