# Finetuning on PB_T50_RS, the hardest variant of ScanObjectNN.
_base_ = [
    '../../_base_/models/recon-classifier.py',
    '../../_base_/datasets/scanobjectnn.py',
    '../../_base_/schedules/finetune_recon_300e.py',
    '../../_base_/default_runtime.py',
]

model = dict(backbone=dict(num_groups=128), head=dict(num_classes=15))
optim_wrapper = dict(optimizer=dict(lr=2e-5))
