# Joint pretraining for two CPU cores: student 4 x 128, 32 patches, as for Point-MAE; an
# image and a text teacher, and the labels that ToyShapes makes
# (pip install "mmkd3d[image,text]").
model = dict(
    type='JointPretraining',
    data_preprocessor=dict(
        type='PointDataPreprocessor',
        augments=[dict(type='RandomRotation', axis=1), dict(type='ScaleTranslate')],
    ),
    backbone=dict(
        type='PointTransformer',
        embed_dims=128,
        depth=4,
        num_heads=4,
        num_groups=32,
        group_size=32,
        patch_dims=(32, 64),
        drop_path_rate=0.1,
        with_cls_token=False,
    ),
    decoder=dict(type='MaskedDecoder', embed_dims=128, depth=2, num_heads=4, drop_path_rate=0.1),
    masker=dict(type='RandomMasker', ratio=0.6),
    losses=dict(
        chamfer=dict(type='ChamferLoss', norm='l2', loss_weight=10.0),
        img=dict(type='CosineLoss'),
        text=dict(type='CosineLoss'),
    ),
    targets=dict(
        img=dict(
            type='ImageTarget',
            precision='bf16',
            reduce='mean',
            renderer=dict(type='ViewRenderer', num_views=4, size=192),
            teacher=dict(type='ImageNetTeacher', size=192),
        ),
        text=dict(type='TextTarget', prompts='recon-60-v1', teacher=dict(type='TextTeacher')),
    ),
    labels=dict(category=161, parts=688, symmetry=3),
)
