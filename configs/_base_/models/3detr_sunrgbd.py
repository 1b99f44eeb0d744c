# 3DETR as published for SUN RGB-D: boxes with headings, no GIoU loss.
_base_ = './3detr_scannet.py'

model = dict(
    bbox_head=dict(
        num_classes=10,
        num_queries=128,
        num_angle_bins=12,
        criterion=dict(
            cost_weights=dict(cls=1.0, objectness=5.0, center=5.0, giou=3.0),
            loss_weights=dict(giou=0.0),
            no_object_weight=0.1,
        ),
    )
)
