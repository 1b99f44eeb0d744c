# Small detection runs on two CPU cores: 1,500 steps of 4 rooms.
_base_ = './detect_60e.py'

optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=50),
    dict(type='CosineAnnealingLR', T_max=1500, eta_min_ratio=0.01, by_epoch=False),
]
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=1500, val_interval=500)
