# 3DETR on ScanNet with the hierarchical student in place of its encoder.
_base_ = ['../../3detr/3detr_1xb8-1080e_scannet-3d.py', '../../_base_/students/i2p-mae-b.py']

model = dict(
    backbone=dict(_delete_=True, num_groups=(2048, 1024, 256), **_base_.student),
    neck=dict(
        type='mmkd3d.TokensToSeeds', in_channels=(96, 192, 384), out_channels=256, num_levels=3
    ),
    bbox_head=dict(fps_rule='mmcv'),
)
optim_wrapper = dict(
    constructor='mmkd3d.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
)
