# ReCon's student with its projections, for zero-shot classification by class names in 60
# prompts. Both projections map to CLIP's space.
model = dict(
    type='ZeroShotClassifier',
    backbone=dict(
        type='ReConTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=64,
        group_size=32,
        drop_path_rate=0.1,
    ),
    proj=dict(img=512, text=512),
    text=dict(
        type='TextTarget',
        prompts='recon-60-v1',
        teacher=dict(
            type='OpenClipTextTeacher',
            model_name='ViT-B-32-quickgelu',
            checkpoint='weights/ViT-B-32.pt',
        ),
    ),
    mode='full',
    ratio=0.25,
)
