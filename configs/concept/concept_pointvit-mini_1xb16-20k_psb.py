# Concept distillation on the 904 training shapes of the Princeton Shape
# Benchmark, with the budget of ../point_mae/point-mae_pointvit-mini_1xb16-20k_psb.py.
# Ask the teacher once, before training:
# tools/cache_teacher.py concept_pointvit-mini_1xb16-20k_psb prints how to use it.
_base_ = [
    '../_base_/models/concept_pointvit-mini.py',
    '../_base_/datasets/psb_views.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'queries': dict(decay_mult=0.0),
            'pos_embed': dict(decay_mult=0.0),
            'log_scale': dict(decay_mult=0.0),
        }
    )
)
custom_hooks = _base_.custom_hooks + [
    dict(type='mmkd3d.FitTargetsHook'),
    dict(type='mmkd3d.CollapseAlarmHook'),
]
