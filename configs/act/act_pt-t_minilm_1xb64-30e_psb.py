# Stage II on the 904 training shapes of the Princeton Shape Benchmark, with the
# budget of ../point_mae/point-mae_pt-t_1xb64-30e_psb.py. Two CPU cores.
_base_ = [
    '../_base_/models/act_pt-t.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_adamw_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(teacher=dict(checkpoint='work_dirs/act-autoencoder_minilm_1xb16-40e_psb/epoch_40.pth'))
train_dataloader = dict(batch_size=64)
param_scheduler = dict(period=30, warmup=3, lag=0)
train_cfg = dict(max_epochs=30)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=64)
