# Concept distillation: 300 epochs, 10 of them warm-up. The configs add the hooks that fit
# the statistics of the targets and warn if features collapse.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=10.0),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={
            'token': dict(decay_mult=0.0),
            'queries': dict(decay_mult=0.0),
            'pos_embed': dict(decay_mult=0.0),
            'log_scale': dict(decay_mult=0.0),
        },
    ),
)
param_scheduler = dict(type='mmkd3d.WarmupCosineLR', period=300, warmup=10, min_lr=1e-6, lag=0)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=300)
auto_scale_lr = dict(enable=False, base_batch_size=128)
