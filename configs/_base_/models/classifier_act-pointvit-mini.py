# The small student with a class token, as in ACT's pretraining.
_base_ = './classifier_pointvit-mini.py'

model = dict(backbone=dict(with_cls_token=True), head=dict(pooling=('cls', 'max')))
