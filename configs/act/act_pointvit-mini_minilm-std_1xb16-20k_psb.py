# act_pointvit-mini_minilm_1xb16-20k_psb.py with standardised targets (ours).
_base_ = [
    '../_base_/models/act_pointvit-mini.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

model = dict(
    standardize=True,
    teacher=dict(checkpoint='work_dirs/act-autoencoder_minilm_1xb16-2500i_psb/iter_2500.pth'),
)
