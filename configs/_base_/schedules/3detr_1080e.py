# The schedule of 3DETR. Shorter ones were also published: set both numbers of epochs to
# 90, 180, 360 or 720.
optim_wrapper = dict(
    type='OptimWrapper',
    # Weight decay on all parameters, those of norms and biases too.
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.1, fused=True),
    clip_grad=dict(max_norm=0.1, norm_type=2),
)
# In epochs; the rate changes with each iteration.
param_scheduler = dict(
    type='mmkd3d.WarmupCosineLR',
    period=1080,
    warmup=9,
    min_lr=1e-6,
    warmup_lr=1e-6,
    lag=0,
    convert_to_iter_based=True,
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1080, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=8)
