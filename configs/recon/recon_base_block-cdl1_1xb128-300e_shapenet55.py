# One region masked instead of random patches, and Chamfer distance L1.
_base_ = './recon_base_1xb128-300e_shapenet55.py'

model = dict(masker=dict(type='BlockMasker'), losses=dict(chamfer=dict(norm='l1')))
