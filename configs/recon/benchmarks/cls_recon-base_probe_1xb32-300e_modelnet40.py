# A true probe: a linear head on features that do not change. The published
# linear and mlp-3 runs leave BatchNorm and stochastic depth of the frozen
# student in training mode.
_base_ = './cls_recon-base_linear_1xb32-300e_modelnet40.py'

model = dict(transfer_type='probe')
