# ACT's first stage on ToyShapes, around the packaged text transformer.
_base_ = [
    '../_base_/models/act-autoencoder_minilm.py',
    '../_base_/datasets/toy_shapes.py',
    '../_base_/schedules/act_autoencoder_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(num_samples=512))
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmkd3d.ToyShapes',
        split='val',
        num_samples=64,
        num_points=1024,
        categories={{_base_.categories}},
        pipeline={{_base_.pipeline}},
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = dict(period=6, warmup=1, lag=0)
train_cfg = dict(max_epochs=6, val_begin=6, val_interval=6)
# 16 iterations per epoch: the schedules of 100,000 iterations in 96, from a
# temperature that fits logit_gain
custom_hooks = [
    dict(type='mmkd3d.ReseedHook'),
    dict(type='mmkd3d.FiniteLossHook'),
    dict(
        type='mmkd3d.AnnealHook', target='quantizer.temperature', start=16.0, end=0.0625, length=96
    ),
    dict(type='mmkd3d.AnnealHook', target='kl_weight', start=0.0, end=0.1, begin=10, length=86),
    dict(type='mmkd3d.CodebookUsageHook'),
]
default_hooks = dict(logger=dict(interval=8))
auto_scale_lr = dict(base_batch_size=32)
