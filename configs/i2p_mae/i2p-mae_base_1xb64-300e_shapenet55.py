# I2P-MAE as published: 2,048 points, batch 64, epochs 0..300.
_base_ = [
    '../_base_/models/i2p-mae_base.py',
    '../_base_/datasets/shapenet55_2k.py',
    '../_base_/schedules/pretrain_m2ae_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=64)
randomness = dict(seed=1)
auto_scale_lr = dict(base_batch_size=64)
