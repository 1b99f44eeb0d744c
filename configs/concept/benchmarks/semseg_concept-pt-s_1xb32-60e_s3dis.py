# Semantic segmentation on S3DIS, tested on area 5.
_base_ = '../../act/benchmarks/semseg_act-pt-s_1xb32-60e_s3dis.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/concept_pt-s_1xb128-300e_shapenet55/epoch_300.pth',
        )
    )
)
