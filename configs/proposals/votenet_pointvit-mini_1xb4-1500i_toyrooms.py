# VoteNet with the mini student on ToyRooms; train_dataloader.dataset.indices=[0,1,...] selects
# some of the rooms. load_from=FILE starts from a detector that was pretrained on proposals,
# without the scores of its pseudo classes; model.backbone.init_cfg starts its student alone.
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
custom_hooks = _base_.custom_hooks + [dict(type='mmkd3d.LeaveOutHook', rows={'*.conv_cls.*': 2})]
