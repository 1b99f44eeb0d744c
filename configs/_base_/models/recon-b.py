# ReCon, base: student 12 x 384 with three global tokens, decoder 4 x 384, 60 % of the
# patches masked. Teachers and their inputs are as published: ImageNet's statistics (and
# BGR images in the configs). To give each teacher its own statistics, which is better,
# delete mean and std.
model = dict(
    type='ReCon',
    data_preprocessor=dict(
        type='PointDataPreprocessor', augments=[dict(type='RandomRotation', axis=1)]
    ),
    backbone=dict(
        type='ReConTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=64,
        group_size=32,
        drop_path_rate=0.1,
        global_tokens=('cls', 'img', 'text'),
        stop_gradient=True,
    ),
    decoder=dict(type='MaskedDecoder', embed_dims=384, depth=4, num_heads=6, drop_path_rate=0.1),
    masker=dict(type='RandomMasker', ratio=0.6),
    losses=dict(
        chamfer=dict(type='ChamferLoss', norm='l2'),
        img=dict(type='SmoothL1Loss'),
        text=dict(type='SmoothL1Loss'),
    ),
    targets=dict(
        img=dict(
            type='ImageTarget',
            teacher=dict(
                type='TimmTeacher',
                model_name='vit_base_patch16_224.orig_in21k',
                pre_logits=True,
                checkpoint='weights/jx_vit_base_patch16_224_in21k-e5005f0a.pth',
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
            ),
        ),
        text=dict(
            type='TextTarget',
            prompts='recon-60-v1',
            teacher=dict(
                type='OpenClipTextTeacher',
                model_name='ViT-B-32-quickgelu',
                checkpoint='weights/ViT-B-32.pt',
            ),
        ),
    ),
)
