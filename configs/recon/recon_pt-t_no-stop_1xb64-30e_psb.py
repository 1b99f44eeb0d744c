# The losses of the teachers reach the whole student (ours: not published).
_base_ = './recon_pt-t_1xb64-30e_psb.py'

model = dict(backbone=dict(stop_gradient=False))
