# mmdetection3d's VoteNet for SUN RGB-D on the student that was distilled by
# concepts.
_base_ = '../../point_mae/benchmarks/votenet_point-mae-pt-s_8xb16-36e_sunrgbd-3d.py'

model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/concept_pt-s_1xb128-300e_shapenet55/epoch_300.pth')
    )
)
