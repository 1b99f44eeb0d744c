# Part segmentation of COSEG's aliens and vases with the small hierarchical student of
# Point-M2AE and I2P-MAE, from scratch; the head reads its three levels. To start from a
# pretrained student: model.backbone.init_cfg.type=Pretrained
# model.backbone.init_cfg.checkpoint=NAME_OR_FILE.
_base_ = [
    '../_base_/models/part-segmentor_pointvit-s.py',
    '../_base_/datasets/coseg.py',
    '../_base_/schedules/finetune_many.py',
    '../_base_/iter_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='PointM2AE',
        level_dims=(32, 64, 128),
        depths=(2, 2, 2),
        num_heads=4,
        num_groups=(128, 64, 32),
        group_sizes=(16, 4, 4),
        patch_dims=(32, 64),
    ),
    head=dict(
        _delete_=True,
        type='PyramidSegHead',
        in_channels=(32, 64, 128),
        propagation_dims=(128, 128),
        hidden_dims=(128, 128, 64),
        num_classes=8,
        num_categories=2,
    ),
    category_parts=[[0, 1, 2, 3], [4, 5, 6, 7]],
)
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
