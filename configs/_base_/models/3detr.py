# 3DETR as published for ScanNet: 7.3 M parameters.
model = dict(
    type='mmkd3d.ThreeDETR',
    data_preprocessor=dict(type='mmdet3d.Det3DDataPreprocessor'),
    backbone=dict(
        type='mmkd3d.ThreeDETREncoder',
        embed_dims=256,
        depth=3,
        num_heads=4,
        ffn_dims=128,
        dropout=0.1,
        num_groups=2048,
        group_size=64,
        radius=0.2,
    ),
    bbox_head=dict(
        type='mmkd3d.ThreeDETRHead',
        num_classes=18,
        in_channels=256,
        num_queries=256,
        criterion=dict(type='mmkd3d.ThreeDETRCriterion'),
    ),
    test_cfg=dict(min_points=5, nms_iou=0.25, score_threshold=0.05),
)
