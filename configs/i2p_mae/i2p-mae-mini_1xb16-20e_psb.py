# I2P-MAE on the 904 training shapes of the Princeton Shape Benchmark, with the settings
# of point-m2ae-mini_1xb16-20e_psb.py and an EfficientNet-Lite2 as teacher. Two CPU cores.
_base_ = [
    '../_base_/models/i2p-mae-mini.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_m2ae_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=16)
param_scheduler = dict(period=20, warmup=2, lag=0)
train_cfg = dict(max_epochs=20)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=16)
