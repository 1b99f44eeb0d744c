# ReCon on generated shapes, 20,000 steps of 16. Ask the teachers once, before training:
# tools/cache_teacher.py recon-mini_1xb16-20k_toyshapes prints how to use the cache.
_base_ = [
    '../_base_/models/recon-mini.py',
    '../_base_/datasets/toy_shapes_pretrain_views.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]
