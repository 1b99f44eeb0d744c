# Concept distillation on generated shapes, 20,000 steps of 16. Ask the teacher once, before
# training: tools/cache_teacher.py concept_pointvit-mini_1xb16-20k_toyshapes prints how.
_base_ = [
    '../_base_/models/concept_pointvit-mini.py',
    '../_base_/datasets/toy_shapes_pretrain_views.py',
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
