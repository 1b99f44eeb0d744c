# I2P-MAE on ToyShapes. The control: model.target.teacher.random_weights=True.
_base_ = [
    '../_base_/models/i2p-mae-mini.py',
    '../_base_/datasets/toy_shapes.py',
    '../_base_/schedules/pretrain_m2ae_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(drop_path_rate=0.0),
    decoder=dict(drop_path_rate=0.0),
    target=dict(precision='fp32'),
)
train_dataloader = dict(batch_size=16)
param_scheduler = dict(period=6, warmup=1, lag=0)
train_cfg = dict(max_epochs=6)
default_hooks = dict(logger=dict(interval=16))
auto_scale_lr = dict(base_batch_size=16)
