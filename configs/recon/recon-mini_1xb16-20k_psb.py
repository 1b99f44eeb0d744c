# ReCon on the 904 training shapes of the Princeton Shape Benchmark. Two CPU cores.
# Precompute the teachers' features with tools/cache_teacher.py recon-mini_1xb16-20k_psb,
# which prints how to use the cache.
_base_ = [
    '../_base_/models/recon-mini.py',
    '../_base_/datasets/psb_views.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]
