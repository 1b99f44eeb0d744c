# Student 12 x 192.
_base_ = './recon_base_1xb128-300e_shapenet55.py'

model = dict(backbone=dict(embed_dims=192, num_heads=3), decoder=dict(embed_dims=192, num_heads=3))
