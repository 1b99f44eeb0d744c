# ACT, stage I, on rooms, with the patches of 3DETR's encoder.
_base_ = [
    '../_base_/models/act-autoencoder_vit-b16.py',
    '../_base_/datasets/scannet_scenes_unit.py',
    '../_base_/schedules/act_autoencoder_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(num_groups=2048, group_size=64, radius=0.2)
train_cfg = dict(max_epochs=300, val_begin=300, val_interval=300)
param_scheduler = dict(period=300, lag=0)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmdet3d.ScanNetDataset',
        data_root=_base_.data_root,
        ann_file='scannet_infos_val.pkl',
        pipeline=_base_.pipeline,
        test_mode=True,
        box_type_3d='Depth',
    ),
)
# 75 iterations per epoch, 22,500 in all: the schedules of 100,000 in them.
custom_hooks = [
    dict(type='mmkd3d.ReseedHook'),
    dict(type='mmkd3d.FiniteLossHook'),
    dict(
        type='mmkd3d.AnnealHook',
        target='quantizer.temperature',
        start=1.0,
        end=0.0625,
        length=15000,
    ),
    dict(
        type='mmkd3d.AnnealHook', target='kl_weight', start=0.0, end=0.1, begin=1500, length=15000
    ),
    dict(type='mmkd3d.CodebookUsageHook'),
]
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=16)
