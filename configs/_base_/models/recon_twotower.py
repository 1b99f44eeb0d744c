# The ablation with two towers of plain blocks (ReCon, section 3); the image
# teacher is CLIP's.
_base_ = './recon_clip-image.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TwoTower',
        masked=dict(
            type='PointTransformer',
            embed_dims=384,
            depth=12,
            num_heads=6,
            num_groups=64,
            group_size=32,
            drop_path_rate=0.1,
            with_cls_token=False,
        ),
        contrast=dict(
            type='ReConTransformer',
            embed_dims=384,
            depth=12,
            num_heads=6,
            num_groups=64,
            group_size=32,
            drop_path_rate=0.1,
            global_tokens=('img', 'text'),
            plain_blocks=True,
        ),
    )
)
