# Ablation of i2p-mae-mini_1xb16-20e_psb.py: the mask is random, features are
# learned as there.
_base_ = [
    '../_base_/models/i2p-mae-mini.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_m2ae_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(masker=dict(_delete_=True, type='RandomMasker', ratio=0.8))
train_dataloader = dict(batch_size=16)
param_scheduler = dict(period=20, warmup=2, lag=0)
train_cfg = dict(max_epochs=20)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=16)
