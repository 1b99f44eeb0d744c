# The ablation: the mask is drawn at random, features are learned all the same.
_base_ = './i2p-mae_pt-t_1xb16-20e_psb.py'

model = dict(masker=dict(_delete_=True, type='RandomMasker', ratio=0.8))
