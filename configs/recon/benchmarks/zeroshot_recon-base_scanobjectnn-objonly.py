# Zero-shot classification of OBJ_ONLY, in 32 patches of 128 points.
_base_ = './zeroshot_recon-base_scanobjectnn-hardest.py'

model = dict(backbone=dict(num_groups=32, group_size=128), ratio=0.15)
test_dataloader = dict(dataset=dict(variant='obj_only'))
