# COSEG's aliens and vases: 421 training and 74 test shapes, four parts each; 1,024 of their
# 2,048 points.
_base_ = './npz_parts.py'

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
