# VoteNet on the small student: 256 patches of 32 points, each one a seed,
# in metric coordinates.
_base_ = './votenet_scannet.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd3d.PointTransformer',
        embed_dims=128,
        depth=4,
        num_heads=4,
        num_groups=256,
        group_size=32,
        patch_dims=(32, 64),
        with_cls_token=False,
        fps_rule='mmcv',
        pos_scale='scene'),
    neck=dict(
        type='mmkd3d.TokensToSeeds',
        in_channels=128,
        out_channels=256),
    bbox_head=dict(vote_aggregation_cfg=dict(num_point=128)))
