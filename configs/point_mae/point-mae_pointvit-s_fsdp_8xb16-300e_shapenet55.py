# Point-MAE's published pretraining, split over eight GPUs.
_base_ = ['./point-mae_pointvit-s_1xb128-300e_shapenet55.py', '../_base_/fsdp.py']

train_dataloader = dict(batch_size=16)
