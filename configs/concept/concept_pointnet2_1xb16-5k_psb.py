# Stock PointNet++ on the 904 training shapes of the Princeton Shape Benchmark,
# for ../scannet_small/votenet_pointnet2_1xb2-60e_scannet-small.py, whose
# backbone reads no height. Fewer points than there: the weights are the same.
# Two CPU cores. Compute the teacher's features once, before training:
# tools/cache_teacher.py concept_pointnet2_1xb16-5k_psb.
_base_ = [
    '../_base_/models/concept_pointvit-mini.py',
    '../_base_/datasets/psb.py',
    '../_base_/schedules/pretrain_20k.py',
    '../_base_/iter_runtime.py',
]

pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.KeepViewPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=1024),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.ToDepthCoordinates', height=False),
    dict(type='mmkd3d.PackPoints'),
]
model = dict(
    data_preprocessor=dict(augments=[dict(type='RandomRotation', axis=2)]),
    backbone=dict(
        _delete_=True,
        type='mmdet3d.PointNet2SASSG',
        in_channels=3,
        num_points=(512, 256, 128, 64),
        radius=(0.2, 0.4, 0.8, 1.2),
        num_samples=(32, 32, 16, 16),
        sa_channels=((64, 64, 128), (128, 128, 256), (128, 128, 256), (128, 128, 256)),
        fp_channels=((256, 256), (256, 256)),
        norm_cfg=dict(type='BN2d'),
        sa_cfg=dict(type='PointSAModule', pool_mod='max', use_xyz=True, normalize_xyz=True),
    ),
    adapter=dict(type='SeedsToTokens', in_channels=256, embed_dims=128),
)
train_dataloader = dict(dataset=dict(pipeline=pipeline))

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=250),
    dict(type='CosineAnnealingLR', T_max=5000, eta_min=1e-6, by_epoch=False),
]
train_cfg = dict(max_iters=5000)
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'queries': dict(decay_mult=0.0),
            'pos_embed': dict(decay_mult=0.0),
            'log_scale': dict(decay_mult=0.0),
        }
    )
)
custom_hooks = _base_.custom_hooks + [
    dict(type='mmkd3d.FitTargetsHook'),
    dict(type='mmkd3d.CollapseAlarmHook'),
]
