# Without image data: the teacher sees three views of the augmented cloud along
# the axes. CLIP was not trained on such images.
_base_ = [
    '../_base_/models/concept_pointvit-s.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/pretrain_concept_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    extractor=dict(num_concepts=12),
    target=dict(views=dict(_delete_=True, type='DepthProjection'), num_views=3),
)
custom_hooks = _base_.custom_hooks + [
    dict(type='mmkd3d.FitTargetsHook'),
    dict(type='mmkd3d.CollapseAlarmHook'),
]
