# ReCon's student and a head of three layers on its three global tokens and the maximum of
# the local ones.
model = dict(
    type='PointClassifier',
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='RandomRotation')]),
    backbone=dict(
        type='ReConTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=64,
        group_size=32,
        drop_path_rate=0.2,
        init_cfg=dict(
            type='Pretrained', checkpoint='work_dirs/recon-b_1xb128-300e_shapenet55/epoch_301.pth'
        ),
    ),
    head=dict(
        type='ClsHead', in_channels=384, num_classes=40, pooling=('cls', 'img', 'text', 'max')
    ),
)
