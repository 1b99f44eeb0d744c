# Concept distillation of mmdetection3d's own PointNet++, as VoteNet has it on
# ScanNet: 256 tokens, the points of the last set-abstraction level. It learns
# of objects of 2 metres that stand upright, with the height as a feature.
_base_ = './concept_pt-s.py'

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
    adapter=dict(type='LevelTokens', in_channels=256, embed_dims=384),
)
