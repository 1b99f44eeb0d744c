# ACT, stage I, as published: ViT-B/16, 64 deep prompts.
_base_ = [
    '../_base_/models/act-autoencoder_vit-b16.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/act_autoencoder_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=64)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmkd3d.ShapeNet55',
        data_root='data/ShapeNet55-34',
        split='test',
        pipeline={{_base_.pipeline}},
    ),
)
custom_hooks = [
    dict(type='mmkd3d.ReseedHook'),
    dict(type='mmkd3d.FiniteLossHook'),
    dict(
        type='mmkd3d.AnnealHook',
        target='quantizer.temperature',
        start=1.0,
        end=0.0625,
        length=100000,
    ),
    dict(
        type='mmkd3d.AnnealHook', target='kl_weight', start=0.0, end=0.1, begin=10000, length=100000
    ),
    dict(type='mmkd3d.CodebookUsageHook'),
]
default_hooks = dict(checkpoint=dict(save_best='recon/cdl1', rule='less'))
