# mmdetection3d's GroupFree3D (6 layers, 256 objects) for ScanNet with our
# student as its backbone.
_base_ = ['../../_base_/detectors/groupfree3d_scannet.py', '../../_base_/students/pt-s.py']

model = dict(
    backbone=dict(_delete_=True, num_groups=1024, **_base_.student),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=384, out_channels=288),
)
