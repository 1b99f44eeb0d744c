# Finetuning on ModelNet40, 1,024 points, in larger patches.
_base_ = [
    '../../_base_/models/m2ae-classifier.py',
    '../../_base_/datasets/modelnet40.py',
    '../../_base_/schedules/finetune_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(group_sizes=(48, 24, 24), radii=(0.24, 0.48, 0.96)),
    # One sum of mean and maximum, as published here.
    head=dict(pooling=('max+mean',), label_smoothing=0.2 * 40 / 39),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.embeds.': dict(decay_mult=0.0)}))
