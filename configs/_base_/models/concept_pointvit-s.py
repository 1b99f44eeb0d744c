# Concept distillation with the student of Point-MAE, ACT and ReCon: 12 x 384, 64 patches,
# no masking. 16 concepts for 4 images with 3 regions each (the README lists which parts
# are ours).
model = dict(
    type='ConceptDistillation',
    data_preprocessor=dict(type='PointDataPreprocessor', augments=[dict(type='ScaleTranslate')]),
    backbone=dict(
        type='PointTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=64,
        group_size=32,
        drop_path_rate=0.1,
        with_cls_token=False,
    ),
    extractor=dict(
        type='ConceptExtractor', embed_dims=384, num_concepts=16, num_layers=2, num_heads=6
    ),
    target=dict(
        type='ConceptTargets',
        views=dict(type='RenderedViews', num_views=12),
        num_views=4,
        num_regions=3,
        teacher=dict(
            type='OpenClipTeacher',
            model_name='ViT-B-16-quickgelu',
            projection=True,
            checkpoint='weights/ViT-B-16.pt',
        ),
    ),
    standardize='kind',
    losses=dict(
        embedding=dict(
            type='ContrastiveAlignLoss',
            mode='hard',
            init_temperature=0.07,
            max_scale=100.0,
            gather=True,
        ),
        concept=dict(type='MatchedConceptLoss'),
    ),
)
