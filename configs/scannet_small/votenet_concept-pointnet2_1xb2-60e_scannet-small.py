# As votenet_pointnet2_1xb2-60e_scannet-small.py, whose backbone begins with
# ../concept/concept_pointnet2_1xb32-10e_psb.py:
#     python tools/convert_checkpoint.py --backbone-only \
#         work_dirs/concept_pointnet2_1xb32-10e_psb/epoch_10.pth \
#         work_dirs/concept_pointnet2_psb.pth
_base_ = './votenet_pointnet2_1xb2-60e_scannet-small.py'

model = dict(
    backbone=dict(
        init_cfg=dict(type='Pretrained', checkpoint='work_dirs/concept_pointnet2_psb.pth')
    )
)
