# The teacher is the image tower of CLIP ViT-B/16, with OpenAI's weights.
_base_ = './act-autoencoder_vit-b16_1xb64-300e_shapenet55.py'

model = dict(
    transformer=dict(
        teacher=dict(
            _delete_=True,
            type='OpenClipTeacher',
            model_name='ViT-B-16-quickgelu',
            checkpoint='weights/vit_base_patch16_clip_224.openai/open_clip_model.safetensors',
        )
    )
)
