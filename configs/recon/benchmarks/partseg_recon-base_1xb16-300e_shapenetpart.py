# Part segmentation on ShapeNetPart, 2,048 points. As published, what is called
# a convolution in the head is trained ten times as fast, and with decay. Two
# optimizer steps on one batch, as there: type='mmkd3d.RepeatStepOptimWrapper'.
_base_ = [
    '../../_base_/models/recon-part-segmentor_base.py',
    '../../_base_/datasets/shapenetpart.py',
    '../../_base_/schedules/segment_adamw_300e.py',
    '../../_base_/default_runtime.py',
]

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
