# Finetuning of both towers on PB_T50_RS (stream ALL). As published, the tower of the
# local tokens has a new class token, the maximum omits two patches, and all parameters
# have the same learning rate.
_base_ = './cls_recon-b_1xb32-300e_scanobjectnn-hardest.py'

sizes = dict(
    embed_dims=384, depth=12, num_heads=6, num_groups=128, group_size=32, drop_path_rate=0.2
)
model = dict(
    backbone=dict(
        _delete_=True,
        type='TwoTower',
        masked=dict(type='PointTransformer', **sizes),
        contrast=dict(
            type='ReConTransformer', global_tokens=('img', 'text'), plain_blocks=True, **sizes
        ),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/recon-twotower_1xb128-300e_shapenet55/epoch_301.pth',
            allow_missing=['masked.cls_'],
        ),
    ),
    head=dict(pooling=('cls', 'max', 'img', 'text'), skip_tokens=2),
)
optim_wrapper = dict(
    optimizer=dict(lr=5e-5),
    paramwise_cfg=dict(custom_keys=dict(_delete_=True, token=dict(decay_mult=0.0))),
)
