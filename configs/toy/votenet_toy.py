# 3D detection on ToyRooms: mmdetection3d's VoteNet head on our small student.
# Weights of a pretraining run (point-mae_toy.py, masked-distillation_toy.py):
#   --cfg-options model.backbone.init_cfg.type=Pretrained \
#       model.backbone.init_cfg.checkpoint=work_dirs/point-mae_toy/epoch_6.pth
_base_ = [
    '../_base_/models/votenet_pt-t.py',
    '../_base_/datasets/toy_rooms.py',
    '../_base_/schedules/detect_adamw_24e.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

train_dataloader = dict(batch_size=4)
