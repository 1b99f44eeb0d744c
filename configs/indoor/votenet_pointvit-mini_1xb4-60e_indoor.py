# VoteNet with the mini student on scans and classes of your own: change num_classes and
# mean_sizes to what tools/prepare_data/indoor_det3d.py prints.
_base_ = [
    'mmdet3d::_base_/models/votenet.py',
    '../_base_/students/pointvit-mini.py',
    '../_base_/datasets/indoor_det3d.py',
    '../_base_/schedules/detect_60e.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(
        _delete_=True,
        **_base_.student,
        init_cfg=dict(type='Pretrained', checkpoint='point-mae-mini'),
    ),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=128, out_channels=256),
    bbox_head=dict(
        num_classes=3,
        vote_aggregation_cfg=dict(num_point=128),
        bbox_coder=dict(
            type='mmdet3d.PartialBinBasedBBoxCoder',
            num_sizes=3,
            num_dir_bins=1,  # with a yaw: 12, and with_rot=True
            with_rot=False,
            mean_sizes=[[0.7, 0.7, 0.7], [1.2, 0.8, 0.15], [0.6, 0.5, 1.4]],  # metres
        ),
    ),
)
