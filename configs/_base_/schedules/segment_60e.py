# Segmentation of rooms as published for ACT: epochs 0..59.
_base_ = './segment_300e.py'

param_scheduler = dict(period=60)
train_cfg = dict(max_epochs=60, val_interval=10)
auto_scale_lr = dict(base_batch_size=32)
