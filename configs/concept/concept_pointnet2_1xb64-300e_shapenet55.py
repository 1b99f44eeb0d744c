# Concept distillation of mmdetection3d's own PointNet++, as VoteNet has it on
# ScanNet: 256 tokens, the points of the last set-abstraction level. Shapes are 2
# metres wide, z up, with the height as the fourth channel. Afterwards
#     python tools/convert_checkpoint.py --backbone-only EPOCH_300.pth OUT.pth
# and stock VoteNet starts from OUT.pth:
# benchmarks/votenet_concept-pointnet2_8xb8-36e_scannet-3d.py.
_base_ = './concept_pointvit-s_1xb128-300e_shapenet55.py'

model = dict(
    data_preprocessor=dict(augments=[dict(type='RandomRotation', axis=2)]),
    backbone=dict(
        _delete_=True,
        type='mmdet3d.PointNet2SASSG',
        in_channels=4,
        num_points=(2048, 1024, 512, 256),
        radius=(0.2, 0.4, 0.8, 1.2),
        num_samples=(64, 32, 16, 16),
        sa_channels=((64, 64, 128), (128, 128, 256), (128, 128, 256), (128, 128, 256)),
        fp_channels=((256, 256), (256, 256)),
        norm_cfg=dict(type='BN2d'),
        sa_cfg=dict(type='PointSAModule', pool_mod='max', use_xyz=True, normalize_xyz=True),
    ),
    adapter=dict(type='SeedsToTokens', in_channels=256, embed_dims=384),
)
pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=4096),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.ToDepthCoordinates'),
    dict(
        type='mmkd3d.LoadRendering',
        root='data/ShapeNet55-34/shapenet_views',
        views=[
            '_001',
            '_002',
            '_003',
            '_004',
            '_005',
            '_006',
            '_007',
            '_008',
            '_009',
            '_010',
            '_011',
            '_012',
        ],
        keep_alpha=True,
    ),
    dict(type='mmkd3d.AugmentRendering', train=False),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=pipeline))
auto_scale_lr = dict(base_batch_size=64)
