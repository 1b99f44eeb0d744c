# ACT, stage II, on rooms: the encoder of 3DETR learns the features of the
# autoencoder around a ViT.
_base_ = [
    '../_base_/models/act-autoencoder_vit-b16.py',
    '../_base_/students/3detr-encoder.py',
    '../_base_/datasets/scannet_scenes_unit.py',
    '../_base_/schedules/pretrain_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='ACT',
    data_preprocessor=dict(
        type='PointDataPreprocessor', augments=[dict(type='RandomRotation', axis=2)]
    ),
    backbone=_base_.student,
    decoder=dict(type='MaskedDecoder', embed_dims=256, depth=2, num_heads=4, drop_path_rate=0.1),
    masker=dict(type='RandomMasker', ratio=0.75),
    loss=dict(type='CosineLoss'),
    teacher=dict(
        type='ACTTeacher',
        autoencoder=dict(_base_.model, num_groups=2048, group_size=64, radius=0.2),
        checkpoint='work_dirs/act-autoencoder_vit-b16_1xb16-300e_scannet/epoch_300.pth',
    ),
)
# MaskPoint's schedule.
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = dict(lag=0)
train_cfg = dict(max_epochs=300)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=16)
