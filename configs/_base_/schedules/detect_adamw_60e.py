_base_ = './detect_adamw_24e.py'

param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=20),
    dict(type='CosineAnnealingLR', T_max=60, eta_min_ratio=0.01, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=60, val_interval=60)
