# Semantic segmentation on S3DIS, tested on area 5: ours, with the data and the
# schedule of ACT's.
_base_ = [
    '../../_base_/models/recon-scene-segmentor_base.py',
    '../../_base_/datasets/s3dis.py',
    '../../_base_/schedules/segment_adamw_60e.py',
    '../../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

# As ACT: classes weighted by (max(n) / n)**(1/3) for n points of the class.
default_hooks = dict(class_weight=dict(type='mmkd3d.ClassWeightHook'))
