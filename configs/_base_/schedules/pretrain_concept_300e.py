# Concept distillation (spec 4.7): 300 epochs, 10 of them warm-up.
_base_ = './pretrain_adamw_300e.py'

optim_wrapper = dict(
    optimizer=dict(lr=5e-4),
    clip_grad=dict(max_norm=10.0),
    paramwise_cfg=dict(
        custom_keys={
            'queries': dict(decay_mult=0.0),
            'pos_embed': dict(decay_mult=0.0),
            'log_scale': dict(decay_mult=0.0),
        }
    ),
)
param_scheduler = dict(period=300, warmup=10, lag=0)
train_cfg = dict(max_epochs=300)
