# Few-shot finetuning; the file of the data set explains how to select an episode. The
# head keeps its 40 outputs, as published.
_base_ = [
    '../../_base_/models/recon-classifier.py',
    '../../_base_/datasets/modelnet_fewshot.py',
    '../../_base_/schedules/finetune_recon_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(backbone=dict(drop_path_rate=0.1))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = dict(period=150)
train_cfg = dict(max_epochs=151)
