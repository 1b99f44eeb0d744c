# With reconstruction: 60 % of the patches are masked, and rebuilt as in
# Point-MAE; the concepts are of the visible ones.
_base_ = './concept_pointvit-s_1xb128-300e_shapenet55.py'

model = dict(
    masker=dict(type='RandomMasker', ratio=0.6),
    decoder=dict(type='MaskedDecoder', embed_dims=384, depth=4, num_heads=6, drop_path_rate=0.1),
    losses=dict(chamfer=dict(type='ChamferLoss', norm='l2')),
)
