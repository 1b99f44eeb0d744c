# 3DETR-m on SUN RGB-D, as published.
_base_ = './3detr_1xb8-1080e_sunrgbd-3d.py'

model = dict(
    backbone=dict(dropout=0.3, mask_radii=(0.16, 0.64, 1.44)),
    bbox_head=dict(num_proj_layers=2, criterion=dict(loss_weights=dict(cls=0.8))),
)
