# Segmentation as published for ACT: epochs 0..299. The published code makes two optimizer
# steps on each batch: optim_wrapper.type=mmkd3d.RepeatStepOptimWrapper.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=10, norm_type=2),
    # No decay for 1-D parameters, biases and everything called a token.
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'token': dict(decay_mult=0.0)},
    ),
)
param_scheduler = dict(type='mmkd3d.WarmupCosineLR', period=300, warmup=10, min_lr=1e-6)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=300)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=16)
