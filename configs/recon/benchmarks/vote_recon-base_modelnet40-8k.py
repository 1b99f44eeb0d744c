# Voting on ModelNet40 with all 8,192 points: scales only.
_base_ = './cls_recon-base_full_1xb32-300e_modelnet40-8k.py'

test_cfg = dict(
    type='mmkd3d.VotingTestLoop', num_points=8192, augment=dict(type='ScaleTranslate', shift=0.0)
)
