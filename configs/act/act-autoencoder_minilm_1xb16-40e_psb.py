# ACT, stage I, on the 904 training shapes of the Princeton Shape Benchmark; the teacher
# is a sentence encoder of the extra `text`. Two CPU cores.
_base_ = [
    '../_base_/models/act-autoencoder_minilm.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/act_autoencoder_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=16)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = dict(period=40, warmup=2, lag=0)
train_cfg = dict(max_epochs=40, val_begin=10, val_interval=10)
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
# 56 iterations per epoch: the schedules of 100,000 iterations in 2,240, from a
# temperature that fits logit_gain
custom_hooks = [
    dict(type='mmkd3d.ReseedHook'),
    dict(type='mmkd3d.FiniteLossHook'),
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
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=16)
