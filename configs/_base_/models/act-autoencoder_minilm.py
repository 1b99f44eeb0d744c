# A small stage I for two CPU cores: 32 patches of 32 points, 512 codes, around
# the packaged text transformer (6 x 384).
model = dict(
    type='ACTAutoencoder',
    num_groups=32,
    group_size=32,
    patch_dims=(32, 64),
    encoder_dims=128,
    token_dims=128,
    decoder_dims=128,
    num_codes=512,
    code_std=30.0,  # for runs of a few thousand iterations, see the README
    logit_gain=8.0,
    edge_dims=(64, 128, 128, 128, 256),
    folding_dims=(256, 128),
    transformer=dict(num_prompts=32, teacher=dict(type='TextTeacher')),
)
