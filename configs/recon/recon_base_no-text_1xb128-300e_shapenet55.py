# Without the text teacher.
_base_ = './recon_base_1xb128-300e_shapenet55.py'

model = dict(targets=dict(text=None))
