# The student with a class token, as in ACT's pretraining.
_base_ = './cls_pointvit-mini_1xb32-15e_psb-21.py'

model = dict(backbone=dict(with_cls_token=True), head=dict(pooling=('cls', 'max')))
