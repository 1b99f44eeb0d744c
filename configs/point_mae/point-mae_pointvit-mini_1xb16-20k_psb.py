# Point-MAE on the 904 training meshes of the Princeton Shape Benchmark. Two CPU
# cores.
_base_ = [
    '../_base_/models/point-mae_pointvit-mini.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]
