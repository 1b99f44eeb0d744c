# Semantic segmentation on S3DIS, tested on area 5: ours, with the data and the
# schedule of ACT's.
_base_ = [
    '../../_base_/models/m2ae-scene-segmentor_base.py',
    '../../_base_/datasets/s3dis.py',
    '../../_base_/schedules/segment_m2ae_300e.py',
    '../../_base_/default_runtime.py'
]
default_scope = 'mmdet3d'

# mmdetection3d lists a room once per 4,096 points; a published epoch has one
# sample per 2,048.
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='RepeatDataset',
        times=2,
        dataset={{_base_.train_dataloader.dataset}}))
param_scheduler = dict(period=60)
train_cfg = dict(max_epochs=60, val_interval=10)
auto_scale_lr = dict(base_batch_size=32)
