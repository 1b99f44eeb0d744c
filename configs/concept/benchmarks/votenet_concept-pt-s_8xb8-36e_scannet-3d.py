# mmdetection3d's VoteNet for ScanNet with the pretrained transformer.
_base_ = '../../point_mae/benchmarks/votenet_point-mae-pt-s_8xb8-36e_scannet-3d.py'

model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/concept_pt-s_1xb128-300e_shapenet55/epoch_300.pth')
    )
)
