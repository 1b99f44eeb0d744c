# 3DETR-m, the masked encoder, on ScanNet, as published (detection, sections 1
# to 6).
_base_ = [
    '../_base_/models/3detr-m_scannet.py',
    '../_base_/datasets/scannet_3detr.py',
    '../_base_/schedules/3detr_adamw_1080e.py',
    '../_base_/3detr_runtime.py',
]
