# Pretraining of the mini students on two CPU cores: 20,000 steps of 16 shapes
# (tools/train.py --amp where the CPU has bf16).
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=10, norm_type=2),
    # No decay for 1-D parameters, biases and everything called a token.
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        flat_decay_mult=0.0,
        custom_keys={'token': dict(decay_mult=0.0)},
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=500),
    dict(type='CosineAnnealingLR', T_max=20000, eta_min=1e-6, by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
auto_scale_lr = dict(enable=False, base_batch_size=16)
