# mmdetection3d's VoteNet for SUN RGB-D with our student as its backbone; data,
# head, schedule and evaluation are those of mmdetection3d.
_base_ = ['../../_base_/detectors/votenet_sunrgbd.py', '../../_base_/students/pt-s.py']

model = dict(
    backbone=dict(_delete_=True, num_groups=1024, **_base_.student),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=384, out_channels=256),
)
