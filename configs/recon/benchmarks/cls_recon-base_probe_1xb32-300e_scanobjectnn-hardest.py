# A true probe: a linear head on features that do not change.
_base_ = './cls_recon-base_linear_1xb32-300e_scanobjectnn-hardest.py'

model = dict(transfer_type='probe')
