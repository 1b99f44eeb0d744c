# Student 12 x 256.
_base_ = './recon_base_1xb128-300e_shapenet55.py'

model = dict(backbone=dict(embed_dims=256, num_heads=4), decoder=dict(embed_dims=256, num_heads=4))
