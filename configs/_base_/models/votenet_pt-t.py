# VoteNet on the small student: each patch a seed, in metric coordinates.
_base_ = ['./votenet_scannet.py', './scene_pt-t.py']

model = dict(
    backbone=dict(_delete_=True, **_base_.student),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=128, out_channels=256),
    bbox_head=dict(vote_aggregation_cfg=dict(num_point=128)),
)
