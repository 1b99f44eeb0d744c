# Part segmentation of COSEG's aliens and vases (421 training and 74 test shapes, 4 parts
# each), 1,024 of their 2,048 points, with the small plain student, from scratch. To start
# from a pretrained student: model.backbone.init_cfg.type=Pretrained
# model.backbone.init_cfg.checkpoint=FILE.
_base_ = [
    '../_base_/models/part-segmentor_pointvit-s.py',
    '../_base_/datasets/npz_parts.py',
    '../_base_/schedules/segment_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='PointTransformer',
        embed_dims=128,
        depth=4,
        num_heads=4,
        num_groups=32,
        group_size=32,
        patch_dims=(32, 64),
        with_cls_token=False,
        out_indices=(1, 2, 3),
    ),
    head=dict(
        in_channels=128,
        num_classes=8,
        num_categories=2,
        propagation_dims=(256, 128),
        hidden_dims=(128, 64),
    ),
    category_parts=[[0, 1, 2, 3], [4, 5, 6, 7]],
)
input_spec = dict(up='y')
shapes = dict(
    file='{{$MMKD3D_DATA:data}}/partseg_coseg.npz', part_offset='part_offset', ids='model'
)
load = [dict(type='mmkd3d.LoadPoints'), dict(type='mmkd3d.NormalizePoints')]
train_dataloader = dict(
    dataset=dict(
        **shapes,
        pipeline=[
            *load,
            dict(type='mmkd3d.SamplePoints', num_points=1024),
            dict(type='mmkd3d.PackPoints'),
        ],
    )
)
val_dataloader = dict(
    dataset=dict(
        **shapes,
        pipeline=[
            *load,
            dict(type='mmkd3d.SamplePoints', num_points=1024, method='fps'),
            dict(type='mmkd3d.PackPoints'),
        ],
    )
)
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = dict(period=8, warmup=1, lag=0)
train_cfg = dict(max_epochs=8, val_interval=8)
default_hooks = dict(checkpoint=dict(interval=4), precise_bn=dict(type='mmkd3d.PreciseBNHook'))
