# The teacher is a distilled DeiT-B/16 at 384 pixels.
_base_ = './act-autoencoder_vit-b16_1xb64-300e_shapenet55.py'

model = dict(
    transformer=dict(
        teacher=dict(
            _delete_=True,
            type='TimmTeacher',
            model_name='deit_base_distilled_patch16_384.fb_in1k',
            checkpoint='weights/deit_base_distilled_patch16_384.fb_in1k.safetensors',
        )
    )
)
