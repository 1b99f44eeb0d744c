# mmdetection3d's VoteNet for ScanNet with our student as its backbone; data,
# head, schedule and evaluation are those of mmdetection3d.
_base_ = 'mmdet3d::votenet/votenet_8xb8_scannet-3d.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd3d.PointTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=1024,
        group_size=32,
        with_cls_token=False,
        fps_rule='mmcv',
        pos_scale='scene',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/point-mae_pt-s_1xb128-300e_shapenet55/'
            'epoch_301.pth')),
    neck=dict(
        type='mmkd3d.TokensToSeeds', in_channels=384, out_channels=256))

# VoteNet's learning rate is far too high for a pretrained transformer.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.05)}))
default_hooks = dict(checkpoint=dict(type='mmkd3d.CheckpointHook'))
custom_hooks = [dict(type='mmkd3d.FiniteLossHook')]
custom_imports = dict(imports=['mmkd3d'], allow_failed_imports=False)
