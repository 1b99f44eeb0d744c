# MaskPoint's schedule on rooms (detection, section 8.1): batch 16, 300 epochs.
_base_ = './pretrain_adamw_300e.py'

optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = dict(period=300, lag=0)
train_cfg = dict(max_epochs=300)
auto_scale_lr = dict(base_batch_size=16)
