# GroupFree3D with the small student; pretrained by Point-MAE on shapes by default.
_base_ = [
    './groupfree3d_pointnet2_1xb2-60e_scannet-small.py',
    '../_base_/students/pointvit-mini.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        **_base_.student,
        init_cfg=dict(type='Pretrained', checkpoint='point-mae-mini'),
    ),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=128, out_channels=288),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.25)}))
