# The teacher is MLP-Mixer-B/16: it mixes exactly 196 tokens.
_base_ = './act-autoencoder_vit-b16_1xb64-300e_shapenet55.py'

model = dict(
    transformer=dict(
        num_prompts=132,  # 132 + 64 patches = 14 x 14
        teacher=dict(
            _delete_=True,
            type='TimmTeacher',
            model_name='mixer_b16_224.goog_in21k',
            checkpoint='weights/mixer_b16_224.goog_in21k.safetensors',
        ),
    )
)
