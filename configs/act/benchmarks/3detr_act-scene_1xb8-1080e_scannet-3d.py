# 3DETR on ScanNet, with its own encoder pretrained on rooms by ACT
# (../act_3detr-encoder_1xb16-300e_scannet.py). As in MaskPoint, the position embedding
# and the last norm of the pretraining are dropped.
_base_ = '../../3detr/3detr_1xb8-1080e_scannet-3d.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/act_3detr-encoder_1xb16-300e_scannet/epoch_300.pth',
            allow_unexpected=['pos_embed.', 'norm.'],
        )
    )
)
