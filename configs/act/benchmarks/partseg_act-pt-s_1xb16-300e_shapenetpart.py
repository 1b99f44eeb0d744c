# Part segmentation on ShapeNetPart, 2,048 points.
_base_ = [
    '../../_base_/models/act-part-segmentor_pt-s.py',
    '../../_base_/datasets/shapenetpart.py',
    '../../_base_/schedules/segment_adamw_300e.py',
    '../../_base_/default_runtime.py',
]
