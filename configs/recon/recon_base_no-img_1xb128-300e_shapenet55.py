# Without the image teacher.
_base_ = './recon_base_1xb128-300e_shapenet55.py'

model = dict(targets=dict(img=None))
