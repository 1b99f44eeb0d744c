# Part segmentation on ShapeNetPart, 2,048 points, with Point-M2AE's head on all
# three levels. The published code makes two optimizer steps on each batch:
# optim_wrapper.type=mmkd3d.RepeatStepOptimWrapper.
_base_ = [
    '../../_base_/models/part-segmentor_pointvit-s.py',
    '../../_base_/datasets/shapenetpart.py',
    '../../_base_/schedules/segment_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='PointM2AE',
        level_dims=(96, 192, 384),
        depths=(5, 5, 5),
        num_heads=6,
        num_groups=(512, 256, 64),
        group_sizes=(16, 8, 8),
        radii=(0.32, 0.64, 1.28),
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/i2p-mae-b_1xb64-300e_shapenet55/epoch_301.pth'
        ),
    ),
    head=dict(
        _delete_=True,
        type='PyramidSegHead',
        in_channels=(96, 192, 384),
        num_classes=50,
        num_categories=16,
    ),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.embeds.': dict(decay_mult=0.0)}))
