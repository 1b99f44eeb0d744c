# Point-MAE on rooms with the encoder of 3DETR, in MaskPoint's setting and with
# its schedule: 20,000 points in the unit sphere, 2,048 patches, 75 % masked.
_base_ = [
    '../_base_/students/3detr-encoder.py',
    '../_base_/datasets/scannet_scenes_unit.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='PointMAE',
    data_preprocessor=dict(
        type='PointDataPreprocessor', augments=[dict(type='RandomRotation', axis=2)]
    ),
    backbone=_base_.student,
    decoder=dict(type='MaskedDecoder', embed_dims=256, depth=2, num_heads=4, drop_path_rate=0.1),
    masker=dict(type='RandomMasker', ratio=0.75),
    loss=dict(type='ChamferLoss', norm='l2'),
)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = dict(lag=0)
train_cfg = dict(max_epochs=300)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=16)
