# recon-mini_1xb16-20k_psb.py without the stop-gradient: the losses of the teachers reach
# the whole student (ours, not published).
_base_ = [
    '../_base_/models/recon-mini.py',
    '../_base_/datasets/psb_views.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

model = dict(backbone=dict(stop_gradient=False))
