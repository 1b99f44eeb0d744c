# Semantic segmentation on ScanNet, tested on the validation scans.
_base_ = '../../i2p_mae/benchmarks/semseg_i2p-mae_2xb16-60e_scannet.py'

model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/point-m2ae_base_1xb128-300e_shapenet55/epoch_301.pth')
    )
)
