# Voting on OBJ_BG: only the order of the points changes.
_base_ = './cls_recon-base_full_1xb32-300e_scanobjectnn-objbg.py'

test_cfg = dict(type='mmkd3d.VotingTestLoop', num_points=2048)
