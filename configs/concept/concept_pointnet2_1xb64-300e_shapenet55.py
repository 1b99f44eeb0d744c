# The second student: mmdetection3d's PointNet++ of VoteNet. Afterwards
#     python tools/convert_checkpoint.py --backbone-only EPOCH_300.pth OUT.pth
# and stock VoteNet begins with model.backbone.init_cfg of OUT.pth, see
# benchmarks/votenet_concept-pointnet2_8xb8-36e_scannet-3d.py.
_base_ = [
    '../_base_/models/concept_pointnet2.py',
    '../_base_/datasets/shapenet55_12views_metric.py',
    '../_base_/schedules/pretrain_concept_300e.py',
    '../_base_/concept_runtime.py',
]

train_dataloader = dict(batch_size=64)
auto_scale_lr = dict(base_batch_size=64)
