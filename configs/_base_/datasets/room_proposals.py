# Proposals of unlabelled rooms (tools/prepare_data/propose_boxes.py), to pretrain detectors:
# annotations in the form of ScanNet's, whose 18 classes are clusters of things. No test.
_base_ = './toy_rooms.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmdet3d.ScanNetDataset',
        data_root='data/toy_rooms_400/proposals_geometry',
        ann_file='scannet_infos_train.pkl',
        pipeline={{_base_.train_pipeline}},
        metainfo={{_base_.metainfo}},
        filter_empty_gt=True,
        box_type_3d='Depth',
    )
)
val_dataloader = val_evaluator = None
test_dataloader = test_evaluator = None
