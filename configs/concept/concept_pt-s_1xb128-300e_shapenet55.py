# 1,024 points, batch 128, epochs 1..300; 4 of the 12 renderings of each shape
# in a step. The teacher runs beside the student: to ask it once instead, see
# concept_pt-s_cached_1xb64-100e_shapenet55.py.
_base_ = [
    '../_base_/models/concept_pt-s.py',
    '../_base_/datasets/shapenet55_12views.py',
    '../_base_/schedules/pretrain_concept_300e.py',
    '../_base_/concept_runtime.py',
]
