# Finetuning of small students on many labels (a few hundred shapes and more): 800 steps.
# See docs/finetuning.md.
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='mmkd3d.LayerDecayOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=10, norm_type=2),
    paramwise_cfg=dict(
        layer_decay_rate=1.0,  # none
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'head': dict(lr_mult=10.0)},
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=80),
    dict(type='CosineAnnealingLR', T_max=800, eta_min=1e-6, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=800, val_interval=800)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=32)
