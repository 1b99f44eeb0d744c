# The teacher is BEiT-B/16 at 384 pixels, without its position biases.
_base_ = './act-autoencoder_vit-b16_1xb64-300e_shapenet55.py'

model = dict(
    transformer=dict(
        teacher=dict(
            _delete_=True,
            type='TimmTeacher',
            model_name='beit_base_patch16_384.in22k_ft_in22k_in1k',
            checkpoint='weights/beit_base_patch16_384.in22k_ft_in22k_in1k.safetensors',
        )
    )
)
