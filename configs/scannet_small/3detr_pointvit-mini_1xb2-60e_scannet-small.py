# 3DETR with the small student as encoder; pretrained by Point-MAE on shapes by default.
_base_ = ['./3detr_1xb2-60e_scannet-small.py', '../_base_/students/pointvit-mini.py']

model = dict(
    backbone=dict(
        _delete_=True,
        **_base_.student,
        init_cfg=dict(type='Pretrained', checkpoint='point-mae-mini'),
    ),
    bbox_head=dict(in_channels=128, fps_rule='mmcv'),
)
