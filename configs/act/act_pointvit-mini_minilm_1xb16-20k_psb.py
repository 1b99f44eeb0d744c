# ACT, stage II, on the 904 training shapes of the Princeton Shape Benchmark. Two
# CPU cores.
_base_ = [
    '../_base_/models/act_pointvit-mini.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

model = dict(
    teacher=dict(checkpoint='work_dirs/act-autoencoder_minilm_1xb16-2500i_psb/iter_2500.pth')
)
