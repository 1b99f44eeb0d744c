# Ours: saliencies are standardised for each cloud, so that they decide more of
# the mask, the teacher gets its own statistics, and masked patches are neither
# embedded nor shown by a slip.
_base_ = './i2p-mae_base_1xb64-300e_shapenet55.py'

model = dict(
    backbone=dict(embed_masked=False, index_zero_visible=False),
    masker=dict(standardize=True),
    target=dict(teacher=dict(mean=None, std=None)),
)
