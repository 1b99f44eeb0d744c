# mmdetection3d's VoteNet for ScanNet with the hierarchical student as its
# backbone.
_base_ = ['../../_base_/detectors/votenet_scannet.py', '../../_base_/students/i2p-mae-b.py']

model = dict(
    backbone=dict(_delete_=True, num_groups=(1024, 512, 128), **_base_.student),
    neck=dict(
        type='mmkd3d.TokensToSeeds', in_channels=(96, 192, 384), out_channels=256, num_levels=3
    ),
)
