# mmdetection3d's VoteNet for ScanNet on the hierarchical student: ours. Seeds
# are the 1,024 tokens of the finest level, with all levels carried to them.
_base_ = '../../point_mae/benchmarks/votenet_point-mae-pt-s_8xb8-36e_scannet-3d.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd3d.PointM2AE',
        level_dims=(96, 192, 384),
        depths=(5, 5, 5),
        num_heads=6,
        num_groups=(1024, 512, 128),
        group_sizes=(32, 16, 16),
        radii=(0.4, 0.8, 1.6),
        fps_rule='mmcv',
        pos_scale='scene',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/i2p-mae_base_1xb64-300e_shapenet55/'
            'epoch_301.pth')),
    neck=dict(in_channels=(96, 192, 384), num_levels=3))
