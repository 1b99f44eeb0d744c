# Finetuning of small students on few labels (up to about 20 a class): 600 steps, see
# docs/finetuning.md.
_base_ = './finetune_many.py'

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=60),
    dict(type='CosineAnnealingLR', T_max=600, eta_min=1e-6, by_epoch=False),
]
train_cfg = dict(max_iters=600, val_interval=600)
