# The short recipe for one small GPU: 100 epochs, batch 64, and no teacher in
# memory. Its features are asked for once, from the pictures of
# concept_pt-s_1xb128-300e_shapenet55.py (12 views of 4 features: 2.5 GB):
#     python tools/cache_teacher.py concept_pt-s_1xb128-300e_shapenet55 \
#         --out work_dirs/teacher_cache/concept --dtype float16
_base_ = [
    '../_base_/models/concept_pt-s.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/pretrain_concept_300e.py',
    '../_base_/concept_runtime.py',
]

model = dict(target=dict(cache='work_dirs/teacher_cache/concept/target'))
train_dataloader = dict(batch_size=64)
param_scheduler = dict(period=100)
train_cfg = dict(max_epochs=100)
auto_scale_lr = dict(base_batch_size=64)
