# ReCon for two CPU cores: student 4 x 128, 32 patches; a MobileNetV2 on four rendered
# views (make its weights with tools/prepare_data/mobilenetv2_teacher.py) and a sentence
# transformer on the category names.
_base_ = './recon-b.py'

model = dict(
    backbone=dict(embed_dims=128, depth=4, num_heads=4, num_groups=32, patch_dims=(32, 64)),
    decoder=dict(embed_dims=128, depth=2, num_heads=4),
    targets=dict(
        img=dict(
            reduce='mean',
            renderer=dict(type='ViewRenderer', num_views=4, size=224),
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
        text=dict(teacher=dict(_delete_=True, type='TextTeacher', normalize=False)),
    ),
)
