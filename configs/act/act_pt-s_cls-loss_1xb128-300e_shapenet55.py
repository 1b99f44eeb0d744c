# With the global branch (cls_loss of the published code).
_base_ = './act_pt-s_1xb128-300e_shapenet55.py'

model = dict(shallow_layer=9)
