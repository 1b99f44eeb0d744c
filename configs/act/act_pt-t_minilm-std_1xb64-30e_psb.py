# As act_pt-t_minilm_1xb64-30e_psb.py, with standardised targets (ours).
_base_ = './act_pt-t_minilm_1xb64-30e_psb.py'

model = dict(standardize=True)
