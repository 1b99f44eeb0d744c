# Finetuning on ModelNet40, 1,024 points.
_base_ = [
    '../../_base_/models/recon-classifier.py',
    '../../_base_/datasets/modelnet40.py',
    '../../_base_/schedules/finetune_recon_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(data_preprocessor=dict(augments=[dict(type='ScaleTranslate')]))
optim_wrapper = dict(optimizer=dict(lr=1e-5))
