# Point-MAE on whole rooms: the 10 training scans in metres, without their boxes, with the
# patches of the detectors here.
_base_ = [
    '../_base_/models/point-mae_pointvit-mini.py',
    '../_base_/students/pointvit-mini.py',
    '../_base_/datasets/scannet_scenes.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(
        augments=[
            dict(type='RandomRotation', axis=2),
            dict(type='ScaleTranslate', scale=(0.8, 1.25), shift=0.0),
        ]
    ),
    backbone=dict(_delete_=True, **_base_.student),
    masker=dict(ratio=0.75),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root='data/scannet_small'),
)
param_scheduler = dict(period=100, warmup=5, lag=0)
train_cfg = dict(max_epochs=100)
default_hooks = dict(checkpoint=dict(interval=100))
auto_scale_lr = dict(base_batch_size=2)
