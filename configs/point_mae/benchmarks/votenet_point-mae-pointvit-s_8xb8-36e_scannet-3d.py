# mmdetection3d's VoteNet for ScanNet with our student as its backbone; data,
# head, schedule and evaluation are those of mmdetection3d.
_base_ = ['../../_base_/detectors/votenet_scannet.py', '../../_base_/students/pointvit-s.py']

model = dict(
    backbone=dict(_delete_=True, num_groups=1024, **_base_.student),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=384, out_channels=256),
)
