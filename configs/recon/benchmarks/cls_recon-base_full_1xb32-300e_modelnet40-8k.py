# Finetuning on ModelNet40, 8,192 points in 512 patches.
_base_ = [
    '../../_base_/models/recon-classifier_base.py',
    '../../_base_/datasets/modelnet40_8k.py',
    '../../_base_/schedules/finetune_recon_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=dict(augments=[dict(type='ScaleTranslate')]), backbone=dict(num_groups=512)
)
optim_wrapper = dict(optimizer=dict(lr=1e-5))
