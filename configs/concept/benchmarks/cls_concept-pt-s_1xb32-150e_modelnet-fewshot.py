# Few-shot finetuning; the data's file says how to choose an episode.
_base_ = [
    '../../_base_/models/concept-classifier_pt-s.py',
    '../../_base_/datasets/modelnet_fewshot.py',
    '../../_base_/schedules/finetune_recon_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(augments=[dict(type='ScaleTranslate')]))
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = dict(period=150)
train_cfg = dict(max_epochs=151)
