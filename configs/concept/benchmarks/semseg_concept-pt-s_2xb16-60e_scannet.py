# Semantic segmentation on ScanNet, tested on the validation scans.
_base_ = '../../act/benchmarks/semseg_act-pt-s_2xb16-60e_scannet.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/concept_pt-s_1xb128-300e_shapenet55/epoch_300.pth',
        )
    )
)
