# Pretraining of a whole VoteNet on proposals of unlabelled rooms, annotations in the form of
# ScanNet's, whose 18 classes are clusters of things. Write them first:
# python tools/prepare_data/propose_boxes.py data/toy_rooms_400 --use geometry
_base_ = [
    '../_base_/models/votenet_scannet.py',
    '../_base_/students/pointvit-mini.py',
    '../_base_/datasets/toy_rooms.py',
    '../_base_/schedules/detect_1500i.py',
    '../_base_/iter_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(_delete_=True, **_base_.student),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=128, out_channels=256),
    bbox_head=dict(vote_aggregation_cfg=dict(num_point=128)),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmdet3d.ScanNetDataset',
        data_root='data/toy_rooms_400/proposals_geometry',
        ann_file='scannet_infos_train.pkl',
        pipeline=_base_.train_pipeline,
        metainfo=_base_.metainfo,
        filter_empty_gt=True,
        box_type_3d='Depth',
    )
)
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None
