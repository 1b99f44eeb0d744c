# Concept distillation on the 904 training shapes of the Princeton Shape
# Benchmark, with the budget of ../point_mae/point-mae_pointvit-mini_1xb64-30e_psb.py.
# Ask the teacher once, before training:
# tools/cache_teacher.py concept_pointvit-mini_1xb64-30e_psb prints how to use it.
_base_ = [
    '../_base_/models/concept_pointvit-mini.py',
    '../_base_/datasets/psb_views.py',
    '../_base_/schedules/pretrain_concept_300e.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=64)
param_scheduler = dict(period=30, warmup=3)
train_cfg = dict(max_epochs=30)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=64)
custom_hooks = _base_.custom_hooks + [
    dict(type='mmkd3d.FitTargetsHook'),
    dict(type='mmkd3d.CollapseAlarmHook'),
]
