# ACT, stage II, on generated shapes, 20,000 steps of 16, with standardised targets (ours).
_base_ = [
    '../_base_/models/act_pointvit-mini.py',
    '../_base_/datasets/toy_shapes_pretrain.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

model = dict(
    standardize=True,
    teacher=dict(checkpoint='work_dirs/act-autoencoder_minilm_1xb16-2500i_toyshapes/iter_2500.pth'),
)
