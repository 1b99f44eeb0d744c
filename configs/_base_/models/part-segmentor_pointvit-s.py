# Part segmentation: three levels of PointTransformer (ViT-S size) and a head for the 16
# categories and 50 parts of ShapeNetPart.
model = dict(
    type='PointSegmentor',
    data_preprocessor=dict(
        type='PointDataPreprocessor',
        augments=[dict(type='ScaleTranslate', scale=(0.8, 1.25), shift=0.1, isotropic=True)],
    ),
    backbone=dict(
        type='PointTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=128,
        group_size=32,
        drop_path_rate=0.1,
        with_cls_token=False,
        out_indices=(3, 7, 11),
    ),
    head=dict(type='PointSegHead', in_channels=384, num_classes=50, num_categories=16),
    category_parts=[
        [0, 1, 2, 3],
        [4, 5],
        [6, 7],
        [8, 9, 10, 11],
        [12, 13, 14, 15],
        [16, 17, 18],
        [19, 20, 21],
        [22, 23],
        [24, 25, 26, 27],
        [28, 29],
        [30, 31, 32, 33, 34, 35],
        [36, 37],
        [38, 39, 40],
        [41, 42, 43],
        [44, 45, 46],
        [47, 48, 49],
    ],
)
