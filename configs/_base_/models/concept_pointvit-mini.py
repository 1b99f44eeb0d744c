# Concept distillation for two CPU cores: student 4 x 128, 32 patches; four
# views of the cloud and a MobileNetV2 as the teacher (make its weights with
# tools/prepare_data/mobilenetv2_teacher.py).
_base_ = './concept_pointvit-s.py'

model = dict(
    backbone=dict(embed_dims=128, depth=4, num_heads=4, num_groups=32, patch_dims=(32, 64)),
    extractor=dict(embed_dims=128, num_heads=4),
    target=dict(
        views=dict(num_views=None, renderer=dict(type='ViewRenderer', num_views=4)),
        teacher=dict(
            _delete_=True,
            type='TimmTeacher',
            model_name='mobilenetv2_100',
            model_kwargs=dict(pad_type='same'),
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            checkpoint='weights/mobilenetv2_100.safetensors',
        ),
    ),
)
