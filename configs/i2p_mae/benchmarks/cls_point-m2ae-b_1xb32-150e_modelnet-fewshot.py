# Few-shot finetuning of Point-M2AE. The environment chooses the episode (WAY,
# SHOT, FOLD; see the data set's file).
_base_ = [
    '../../_base_/models/m2ae-classifier.py',
    '../../_base_/datasets/modelnet_fewshot.py',
    '../../_base_/schedules/finetune_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/point-m2ae-b_1xb128-300e_shapenet55/epoch_301.pth')
    ),
    head=dict(pooling=('max+mean',), label_smoothing=0.3 * 40 / 39),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone.embeds.': dict(decay_mult=0.0)}))
param_scheduler = dict(period=150)
train_cfg = dict(max_epochs=151)
