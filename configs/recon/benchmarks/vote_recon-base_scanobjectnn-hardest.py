# Voting on PB_T50_RS: rotations about the up axis. Clouds have 2,048 points,
# so a vote changes nothing but their order and their angle.
_base_ = './cls_recon-base_full_1xb32-300e_scanobjectnn-hardest.py'

test_cfg = dict(type='mmkd3d.VotingTestLoop', num_points=2048, augment=dict(type='RandomRotation'))
