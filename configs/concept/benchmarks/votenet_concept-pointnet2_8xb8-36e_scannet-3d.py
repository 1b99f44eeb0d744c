# mmdetection3d's own VoteNet for ScanNet; only its PointNet++ was pretrained:
#     python tools/convert_checkpoint.py --backbone-only \
#         work_dirs/concept_pointnet2_1xb64-300e_shapenet55/epoch_300.pth \
#         work_dirs/concept_pointnet2.pth
_base_ = 'mmdet3d::votenet/votenet_8xb8_scannet-3d.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/concept_pointnet2.pth')))
default_hooks = dict(
    checkpoint=dict(type='mmkd3d.CheckpointHook'),
    classes=dict(type='mmkd3d.CheckClassesHook'),
    visualization=dict(type='mmkd3d.DetectionVisualizationHook'))
custom_hooks = [dict(type='mmkd3d.FiniteLossHook')]
custom_imports = dict(imports=['mmkd3d'], allow_failed_imports=False)
