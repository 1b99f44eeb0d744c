# 3DETR on SUN RGB-D on the student that was distilled by concepts.
_base_ = '../../point_mae/benchmarks/3detr_point-mae-pt-s_1xb8-1080e_sunrgbd-3d.py'

model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/concept_pt-s_1xb128-300e_shapenet55/epoch_300.pth')
    )
)
