# ACT, stage II, on the 904 training shapes of the Princeton Shape Benchmark. Two
# CPU cores.
_base_ = [
    '../_base_/models/act_pointvit-mini.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_30e.py',
    '../_base_/default_runtime.py',
]

model = dict(teacher=dict(checkpoint='work_dirs/act-autoencoder_minilm_1xb16-40e_psb/epoch_40.pth'))
train_dataloader = dict(batch_size=64)
default_hooks = dict(checkpoint=dict(interval=10))
