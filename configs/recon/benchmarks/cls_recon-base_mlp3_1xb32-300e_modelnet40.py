# The head of three layers and the class token alone.
_base_ = './cls_recon-base_full_1xb32-300e_modelnet40.py'

model = dict(transfer_type='mlp-3')
optim_wrapper = dict(optimizer=dict(lr=1e-4))
