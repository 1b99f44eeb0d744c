# ACT, stage II, as published: both splits of ShapeNet-55, student 12 x 384,
# decoder 2 x 384, 80 % of the patches masked.
_base_ = [
    '../_base_/models/act-autoencoder_vit-b16.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]

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
        train_mode=True,  # as published; False is the better choice
        autoencoder={{_base_.model}},
        checkpoint='work_dirs/act-autoencoder_vit-b16_1xb64-300e_shapenet55/epoch_301.pth',
    ),
)
train_dataloader = dict(dataset=dict(whole=True))
param_scheduler = dict(min_lr=1e-7)
