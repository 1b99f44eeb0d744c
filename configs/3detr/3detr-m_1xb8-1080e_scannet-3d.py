# 3DETR-m on ScanNet, as published: tokens attend within a radius, and half as
# many reach the decoder.
_base_ = './3detr_1xb8-1080e_scannet-3d.py'

model = dict(
    backbone=dict(dropout=0.3, mask_radii=(0.16, 0.64, 1.44)), bbox_head=dict(num_proj_layers=2)
)
