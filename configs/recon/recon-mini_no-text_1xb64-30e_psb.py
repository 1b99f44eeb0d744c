# recon-mini_1xb64-30e_psb.py without the text teacher, which reads the category names;
# uses no labels.
_base_ = [
    '../_base_/models/recon-mini.py',
    '../_base_/datasets/psb_views.py',
    '../_base_/schedules/pretrain_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(targets=dict(text=None))
train_dataloader = dict(batch_size=64)
default_hooks = dict(checkpoint=dict(interval=10))
