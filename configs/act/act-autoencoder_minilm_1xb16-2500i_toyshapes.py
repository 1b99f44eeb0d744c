# ACT, stage I, on generated shapes, 2,500 steps of 16; the teacher is a sentence encoder of the
# extra `text`. The schedules of 100,000 iterations are those of the PSB config.
_base_ = [
    '../_base_/models/act-autoencoder_minilm.py',
    '../_base_/datasets/toy_shapes_pretrain.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=2e-3, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(type='CosineAnnealingLR', T_max=2500, eta_min=1e-6, by_epoch=False),
]
train_cfg = dict(max_iters=2500)
custom_hooks = _base_.custom_hooks + [
    dict(
        type='mmkd3d.AnnealHook',
        target='quantizer.temperature',
        start=16.0,
        end=0.0625,
        length=2000,
    ),
    dict(type='mmkd3d.AnnealHook', target='kl_weight', start=0.0, end=0.1, begin=800, length=1000),
    dict(type='mmkd3d.CodebookUsageHook'),
]
