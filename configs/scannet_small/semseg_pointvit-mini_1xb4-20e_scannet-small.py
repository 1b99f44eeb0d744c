# Semantic segmentation with the small plain student, from scratch, on the same blocks as
# PointNet++. To start from a pretrained student: model.backbone.init_cfg.type=Pretrained
# model.backbone.init_cfg.checkpoint=FILE.
_base_ = [
    '../_base_/models/scene-segmentor_pointvit-s.py',
    '../_base_/datasets/scannet_small_seg.py',
    '../_base_/schedules/segment_300e.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd3d.PointTransformer',
        embed_dims=128,
        depth=4,
        num_heads=4,
        num_groups=128,
        group_size=32,
        patch_dims=(32, 64),
        with_cls_token=False,
        out_indices=(1, 2, 3),
    ),
    decode_head=dict(
        in_channels=128,
        num_classes=20,
        ignore_index=20,
        propagation_dims=(256, 128),
        hidden_dims=(128, 64),
    ),
    test_cfg={{_base_.test_blocks}},
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = dict(period=20, warmup=2, lag=0)
train_cfg = dict(max_epochs=20, val_interval=20)
default_hooks = dict(checkpoint=dict(interval=10))
