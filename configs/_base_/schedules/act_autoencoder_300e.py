# ACT, stage I (spec, sections 4.6 and 6): epochs 0..300, no augmentation, no
# clipping. The hooks of its codebook are in ../act_autoencoder_runtime.py.
_base_ = './pretrain_adamw_300e.py'

optim_wrapper = dict(optimizer=dict(lr=5e-4, weight_decay=5e-4))
param_scheduler = dict(min_lr=1e-7)
train_cfg = dict(val_begin=1, val_interval=1)
val_cfg = dict(type='ValLoop')
val_evaluator = dict(type='mmkd3d.Reconstruction')
auto_scale_lr = dict(base_batch_size=64)
