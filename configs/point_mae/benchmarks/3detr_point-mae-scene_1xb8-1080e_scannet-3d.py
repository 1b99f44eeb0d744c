# 3DETR on ScanNet, its own encoder pretrained on rooms by Point-MAE
# (../point-mae_3detr-encoder_1xb16-300e_scannet.py). As MaskPoint does, what
# the pretraining adds for positions and the last norm are dropped.
_base_ = '../../3detr/3detr_1xb8-1080e_scannet-3d.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/point-mae_3detr-encoder_1xb16-300e_scannet/epoch_300.pth',
            allow_unexpected=['pos_embed.', 'norm.'],
        )
    )
)
