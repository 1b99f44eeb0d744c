# Part segmentation on ShapeNetPart, 2,048 points, with Point-M2AE's head. Two
# optimizer steps on one batch, as there: type='mmkd3d.RepeatStepOptimWrapper'.
_base_ = [
    '../../_base_/models/m2ae-part-segmentor_base.py',
    '../../_base_/datasets/shapenetpart.py',
    '../../_base_/schedules/segment_m2ae_300e.py',
    '../../_base_/default_runtime.py',
]
