# The points of scannet_seg.py with their colours, in [0, 1].
_base_ = './scannet_seg.py'

load_points = dict(
    type='mmdet3d.LoadPointsFromFile',
    coord_type='DEPTH',
    shift_height=False,
    use_color=True,
    load_dim=6,
    use_dim=[0, 1, 2, 3, 4, 5],
)
scale_colors = dict(type='mmdet3d.NormalizePointsColor', color_mean=None)
train_pipeline = [
    load_points,
    {{_base_.load_labels}},
    {{_base_.map_labels}},
    {{_base_.sample_block}},
    scale_colors,
    {{_base_.pack_train}},
]
test_pipeline = [
    load_points,
    {{_base_.load_labels}},
    {{_base_.map_labels}},
    scale_colors,
    {{_base_.pack_test}},
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
