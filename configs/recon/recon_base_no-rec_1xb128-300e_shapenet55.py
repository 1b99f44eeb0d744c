# Teachers alone: nothing is rebuilt, so their losses must reach the whole
# student.
_base_ = './recon_base_1xb128-300e_shapenet55.py'

model = dict(losses=dict(chamfer=None), backbone=dict(stop_gradient=False))
