# Pretraining of a whole VoteNet on proposals of unlabelled rooms. Write them first:
# python tools/prepare_data/propose_boxes.py data/toy_rooms_400 --use geometry
_base_ = [
    '../_base_/models/votenet_scannet.py',
    '../_base_/students/pointvit-mini.py',
    '../_base_/datasets/room_proposals.py',
    '../_base_/schedules/detect_1500i.py',
    '../_base_/iter_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(_delete_=True, **_base_.student),
    neck=dict(type='mmkd3d.TokensToSeeds', in_channels=128, out_channels=256),
    bbox_head=dict(vote_aggregation_cfg=dict(num_point=128)),
)
val_cfg = test_cfg = None
