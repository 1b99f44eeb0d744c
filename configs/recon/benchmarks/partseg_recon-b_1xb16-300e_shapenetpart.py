# Part segmentation on ShapeNetPart, 2,048 points: three levels of the student and the
# maximum of its global tokens. As published, the layers of the head that its code calls a
# convolution have a ten times larger learning rate, and weight decay. The published code
# makes two optimizer steps on each batch:
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
        type='ReConTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=128,
        group_size=32,
        drop_path_rate=0.1,
        out_indices=(3, 7, 11),
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/recon-b_1xb128-300e_shapenet55/epoch_301.pth'
        ),
    ),
    head=dict(with_global=True),
)
fast = dict(lr_mult=10.0)
optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    paramwise_cfg=dict(
        custom_keys={
            'head.label.': fast,
            'head.propagation.0.': fast,
            'head.propagation.3.': fast,
            'head.mlp.0.': fast,
            'head.mlp.4.': fast,
            'head.mlp.7.': fast,
        }
    ),
)
