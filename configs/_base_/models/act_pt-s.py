# ACT, stage II: student 12 x 384, decoder 2 x 384, 80 % of the patches masked.
_base_ = './act-autoencoder_vit-b16.py'

model = dict(
    _delete_=True,
    type='ACT',
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        type='PointTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=64,
        group_size=32,
        drop_path_rate=0.1,
    ),
    decoder=dict(type='MaskedDecoder', embed_dims=384, depth=2, num_heads=6, drop_path_rate=0.1),
    masker=dict(type='RandomMasker', ratio=0.8),
    loss=dict(type='CosineLoss'),
    teacher=dict(
        type='ACTTeacher',
        train_mode=True,  # as published; False is the sane choice
        autoencoder={{_base_.model}},
        checkpoint='work_dirs/act-autoencoder_vit-b16_1xb64-300e_shapenet55/epoch_301.pth',
    ),
)
