# Part segmentation of COSEG's aliens and vases (421 training and 74 test shapes, 4 parts
# each), 1,024 of their 2,048 points, with the small plain student, from scratch. To start
# from a pretrained student: model.backbone.init_cfg.type=Pretrained
# model.backbone.init_cfg.checkpoint=NAME_OR_FILE.
_base_ = [
    '../_base_/models/part-segmentor_pointvit-mini.py',
    '../_base_/datasets/npz_parts.py',
    '../_base_/schedules/finetune_many.py',
    '../_base_/iter_runtime.py',
]

model = dict(
    head=dict(num_classes=8, num_categories=2), category_parts=[[0, 1, 2, 3], [4, 5, 6, 7]]
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
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
