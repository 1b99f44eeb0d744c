# ACT's first stage as published: ViT-B/16, 64 deep prompts.
_base_ = [
    '../_base_/models/act-autoencoder_vit-b16.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/act_autoencoder_300e.py',
    '../_base_/act_autoencoder_runtime.py',
]

train_dataloader = dict(batch_size=64)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='mmkd3d.ShapeNet55',
        data_root='data/ShapeNet55-34',
        split='test',
        pipeline={{_base_.pipeline}},
    ),
)
default_hooks = dict(checkpoint=dict(save_best='recon/cdl1', rule='less'))
