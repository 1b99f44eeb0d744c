# recon-mini_1xb64-30e_psb.py without the stop-gradient: the losses of the teachers reach
# the whole student (ours, not published).
_base_ = [
    '../_base_/models/recon-mini.py',
    '../_base_/datasets/psb_views.py',
    '../_base_/schedules/pretrain_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(stop_gradient=False))
train_dataloader = dict(batch_size=64)
default_hooks = dict(checkpoint=dict(interval=10))
