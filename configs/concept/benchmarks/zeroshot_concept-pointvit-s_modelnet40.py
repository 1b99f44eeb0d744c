# Zero-shot classification of ModelNet40, test split, by the class names in
# CLIP's text space: tools/test.py with a checkpoint of
# concept_pointvit-s_1xb128-300e_shapenet55.py.
_base_ = '../../recon/benchmarks/zeroshot_recon-b_modelnet40.py'

model = dict(
    _delete_=True,
    type='ConceptZeroShot',
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
    text=dict(
        type='TextTarget',
        prompts='recon-60-v1',
        teacher=dict(
            type='OpenClipTextTeacher',
            model_name='ViT-B-16-quickgelu',
            checkpoint='weights/ViT-B-16.pt',
        ),
    ),
)
