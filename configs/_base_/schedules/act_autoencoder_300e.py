# ACT, stage I: epochs 0..300, no augmentation, no clipping. The configs add the
# hooks that anneal temperature and KL weight by iteration.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=5e-4, fused=True),
    # No decay for 1-D parameters, biases and everything called a token.
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'token': dict(decay_mult=0.0)},
    ),
)
param_scheduler = dict(type='mmkd3d.WarmupCosineLR', period=300, warmup=10, min_lr=1e-7)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=301, val_begin=1, val_interval=1)
val_cfg = dict(type='ValLoop')
val_evaluator = dict(type='mmkd3d.Reconstruction')
auto_scale_lr = dict(enable=False, base_batch_size=64)
