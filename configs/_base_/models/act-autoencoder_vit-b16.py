# ACT, stage I: discrete autoencoder around a frozen ViT-B/16, with 64 patches of 32
# points, 8,192 codes and 64 deep prompts.
model = dict(
    type='ACTAutoencoder',
    num_groups=64,
    group_size=32,
    encoder_dims=384,
    token_dims=384,
    decoder_dims=384,
    num_codes=8192,
    transformer=dict(
        num_prompts=64,
        deep_prompts=True,
        teacher=dict(
            type='TimmTeacher',
            model_name='vit_base_patch16_384.augreg_in21k_ft_in1k',
            checkpoint='weights/vit_base_patch16_384.augreg_in21k_ft_in1k.safetensors',
        ),
    ),
)
