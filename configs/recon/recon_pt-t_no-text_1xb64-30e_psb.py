# Without the text teacher, which tells the categories: no label is used.
_base_ = './recon_pt-t_1xb64-30e_psb.py'

model = dict(targets=dict(text=None))
