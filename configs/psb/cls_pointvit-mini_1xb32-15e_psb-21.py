# Finetuning of the small plain student on 21 classes of the Princeton Shape Benchmark
# (368 training and 369 test shapes), from scratch. To start from a pretrained student:
# model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=FILE.
_base_ = [
    '../_base_/models/classifier_pointvit-s.py',
    '../_base_/datasets/psb_21.py',
    '../_base_/schedules/finetune_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        embed_dims=128,
        depth=4,
        num_heads=4,
        num_groups=32,
        patch_dims=(32, 64),
        with_cls_token=False,
    ),
    head=dict(in_channels=128, num_classes=21, pooling=('max', 'mean')),
)
train_dataloader = dict(drop_last=True)
param_scheduler = dict(period=15, warmup=2, lag=0)
train_cfg = dict(max_epochs=15, val_interval=15)
default_hooks = dict(checkpoint=dict(interval=5), precise_bn=dict(type='mmkd3d.PreciseBNHook'))
