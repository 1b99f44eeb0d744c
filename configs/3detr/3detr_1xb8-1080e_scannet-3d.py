# 3DETR on ScanNet, as published.
_base_ = [
    '../_base_/models/3detr.py',
    '../_base_/datasets/scannet_3detr.py',
    '../_base_/schedules/3detr_1080e.py',
    '../_base_/3detr_runtime.py',
]
