# 3DETR-m, the masked encoder, on SUN RGB-D, as published (detection, sections
# 1 to 6).
_base_ = [
    '../_base_/models/3detr-m_sunrgbd.py',
    '../_base_/datasets/sunrgbd_3detr.py',
    '../_base_/schedules/3detr_adamw_1080e.py',
    '../_base_/3detr_runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=7e-4))
