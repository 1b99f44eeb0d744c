# The pretrained student and extractor, and a head on the maximum and mean of the tokens
# and the mean of the concepts. Without concepts: model.extractor=None,
# model.head.pooling=['max','mean'].
checkpoint = 'work_dirs/concept_pointvit-s_1xb128-300e_shapenet55/epoch_300.pth'
model = dict(
    type='PointClassifier',
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='RandomRotation')]),
    backbone=dict(
        type='PointTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=64,
        group_size=32,
        drop_path_rate=0.1,
        with_cls_token=False,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint),
    ),
    extractor=dict(
        type='ConceptExtractor',
        embed_dims=384,
        num_concepts=16,
        num_layers=2,
        num_heads=6,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint),
    ),
    head=dict(type='ClsHead', in_channels=384, num_classes=40, pooling=('max', 'mean', 'concept')),
)
