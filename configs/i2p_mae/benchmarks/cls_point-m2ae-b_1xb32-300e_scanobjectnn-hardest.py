# Finetuning on PB_T50_RS, the hardest variant of ScanObjectNN (Point-M2AE):
# other radii and no rotation.
_base_ = './cls_i2p-mae-b_1xb32-300e_scanobjectnn-hardest.py'

model = dict(
    data_preprocessor=dict(augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        radii=(0.32, 0.64, 1.28),
        init_cfg=dict(checkpoint='work_dirs/point-m2ae-b_1xb128-300e_shapenet55/epoch_301.pth'),
    ),
)
