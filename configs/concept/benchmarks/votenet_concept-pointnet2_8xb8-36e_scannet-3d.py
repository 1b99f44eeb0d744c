# mmdetection3d's own VoteNet for ScanNet; only its PointNet++ was pretrained:
#     python tools/convert_checkpoint.py --backbone-only \
#         work_dirs/concept_pointnet2_1xb64-300e_shapenet55/epoch_300.pth \
#         work_dirs/concept_pointnet2.pth
_base_ = '../../_base_/detectors/votenet_scannet.py'

model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='work_dirs/concept_pointnet2.pth'))
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=1.0)}))
