# Zero-shot classification of OBJ_BG.
_base_ = './zeroshot_recon-base_scanobjectnn-hardest.py'

model = dict(ratio=0.1)
test_dataloader = dict(dataset=dict(variant='obj_bg'))
