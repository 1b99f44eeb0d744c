# Ablation with two towers of plain blocks; CLIP is the image teacher.
_base_ = './recon-b_1xb128-300e_shapenet55.py'

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
    ),
    targets=dict(
        img=dict(
            teacher=dict(
                _delete_=True,
                type='OpenClipTeacher',
                model_name='ViT-B-32-quickgelu',
                projection=True,
                checkpoint='weights/ViT-B-32.pt',
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
            )
        )
    ),
)
