# recon-mini_1xb16-20k_psb.py without the text teacher, which reads the category names;
# uses no labels.
_base_ = [
    '../_base_/models/recon-mini.py',
    '../_base_/datasets/psb_views.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

model = dict(targets=dict(text=None))
