# Part segmentation of COSEG's aliens and vases with the small student of ReCon, from scratch:
# three blocks and the maximum of the global tokens. To start from a pretrained student:
# model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint=NAME_OR_FILE.
_base_ = [
    '../_base_/models/part-segmentor_pointvit-mini.py',
    '../_base_/datasets/coseg.py',
    '../_base_/schedules/finetune_many.py',
    '../_base_/iter_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='ReConTransformer',
        embed_dims=128,
        depth=4,
        num_heads=4,
        num_groups=32,
        group_size=32,
        patch_dims=(32, 64),
        out_indices=(1, 2, 3),
    ),
    head=dict(num_classes=8, num_categories=2, with_global=True),
    category_parts=[[0, 1, 2, 3], [4, 5, 6, 7]],
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'token': dict(decay_mult=0.0)}))
default_hooks = dict(precise_bn=dict(type='mmkd3d.PreciseBNHook'))
