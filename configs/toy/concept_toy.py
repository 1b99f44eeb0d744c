# Concept distillation on ToyShapes, with two views of every cloud. The control:
# model.target.teacher.random_weights=True.
_base_ = [
    '../_base_/models/concept_pointvit-mini.py',
    '../_base_/datasets/toy_shapes_views.py',
    '../_base_/schedules/pretrain_concept_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    extractor=dict(num_concepts=8),
    target=dict(
        num_views=2, views=dict(renderer=dict(num_views=2, size=128)), teacher=dict(size=128)
    ),
)
train_dataloader = dict(batch_size=32)
param_scheduler = dict(period=6, warmup=1)
train_cfg = dict(max_epochs=6)
auto_scale_lr = dict(base_batch_size=32)
custom_hooks = _base_.custom_hooks + [
    dict(type='mmkd3d.FitTargetsHook'),
    dict(type='mmkd3d.CollapseAlarmHook'),
]
