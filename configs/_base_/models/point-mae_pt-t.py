# A small student for two CPU cores: 4 x 128, 32 patches of 32 points.
_base_ = './point-mae_pt-s.py'

model = dict(
    backbone=dict(embed_dims=128, depth=4, num_heads=4, num_groups=32, patch_dims=(32, 64)),
    decoder=dict(embed_dims=128, depth=2, num_heads=4),
)
