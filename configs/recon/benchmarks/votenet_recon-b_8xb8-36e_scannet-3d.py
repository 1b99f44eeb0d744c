# mmdetection3d's VoteNet for ScanNet with the local stream of ReCon's student
# as its backbone.
_base_ = ['../../_base_/detectors/votenet_scannet.py', '../../_base_/students/recon-b.py']

model = dict(
    backbone=dict(_delete_=True, num_groups=1024, **_base_.student),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=384, out_channels=256),
)
