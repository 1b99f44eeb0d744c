# With the contrast of categories (self_contrastive), which trains the class
# token; no published config has it.
_base_ = './recon_base_1xb128-300e_shapenet55.py'

model = dict(losses=dict(contrast=dict(type='SingleModalContrast', embed_dims=384)))
