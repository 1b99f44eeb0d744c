# 3DETR for two CPU cores: 512 tokens of 32 points, 128 queries, 4 layers.
_base_ = './3detr_scannet.py'

model = dict(
    backbone=dict(num_groups=512, group_size=32, radius=0.3),
    bbox_head=dict(num_queries=128, depth=4),
)
