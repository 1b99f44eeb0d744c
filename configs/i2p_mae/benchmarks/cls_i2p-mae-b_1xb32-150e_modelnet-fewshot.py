# Few-shot finetuning, as on ModelNet40 with half the epochs (Point-M2AE;
# I2P-MAE published no config); the data's file says how to choose an episode.
_base_ = [
    '../../_base_/models/m2ae-classifier.py',
    '../../_base_/datasets/modelnet_fewshot.py',
    '../../_base_/schedules/finetune_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(group_sizes=(48, 24, 24), radii=(0.24, 0.48, 0.96)),
    head=dict(pooling=('max+mean',), label_smoothing=0.2 * 40 / 39),
)
param_scheduler = dict(period=150)
train_cfg = dict(max_epochs=151)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.embeds.': dict(decay_mult=0.0)}))
