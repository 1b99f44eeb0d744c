# 3DETR on SUN RGB-D, as published: boxes with headings, no GIoU loss.
_base_ = [
    '../_base_/models/3detr.py',
    '../_base_/datasets/sunrgbd_3detr.py',
    '../_base_/schedules/3detr_1080e.py',
    '../_base_/3detr_runtime.py',
]

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
optim_wrapper = dict(optimizer=dict(lr=7e-4))
