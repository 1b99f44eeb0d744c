# Semantic segmentation on S3DIS, tested on area 5.
_base_ = '../../i2p_mae/benchmarks/semseg_i2p-mae_1xb32-60e_s3dis.py'

model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/point-m2ae_base_1xb128-300e_shapenet55/epoch_301.pth')
    )
)
