# ACT, stage I, on the 904 training shapes of the Princeton Shape Benchmark; the teacher
# is a sentence encoder of the extra `text`. Two CPU cores. The schedules of 100,000
# iterations are shortened to 2,500, from a temperature that fits logit_gain.
_base_ = [
    '../_base_/models/act-autoencoder_minilm.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmkd3d.NpzPoints',
        file='{{$MMKD3D_DATA:data}}/psb_1809.npz',
        label='coarse',
        names='coarse_names',
        ids='model_id',
        split='is_test',
        split_value=True,
        pipeline={{_base_.pipeline}},
    ),
)
val_cfg = dict(type='ValLoop')
val_evaluator = dict(type='mmkd3d.Reconstruction')
optim_wrapper = dict(optimizer=dict(lr=2e-3, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=100),
    dict(type='CosineAnnealingLR', T_max=2500, eta_min=1e-6, by_epoch=False),
]
train_cfg = dict(max_iters=2500, val_interval=500)
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
