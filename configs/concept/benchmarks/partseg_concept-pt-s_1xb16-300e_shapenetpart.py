# Part segmentation on ShapeNetPart, 2,048 points.
_base_ = '../../act/benchmarks/partseg_act-pt-s_1xb16-300e_shapenetpart.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/concept_pt-s_1xb128-300e_shapenet55/epoch_300.pth',
        )
    )
)
