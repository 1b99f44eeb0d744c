# Concept distillation for two CPU cores: student 4 x 128, 32 patches; four views of the
# cloud and an EfficientNet-Lite2 as the teacher (pip install "mmkd3d[image]").
_base_ = './concept_pointvit-s.py'

model = dict(
    backbone=dict(embed_dims=128, depth=4, num_heads=4, num_groups=32, patch_dims=(32, 64)),
    extractor=dict(embed_dims=128, num_heads=4),
    target=dict(
        precision='bf16',
        views=dict(num_views=None, renderer=dict(type='ViewRenderer', num_views=4, size=192)),
        teacher=dict(_delete_=True, type='ImageNetTeacher', size=192),
    ),
)
