# I2P-MAE as published: 2,048 points, batch 64, epochs 0..300. Point-M2AE, guided
# and taught by CLIP's ViT-B/16 on three views along the axes. As published, the
# views are normalised by ImageNet's mean and std (without mean and std the teacher
# uses CLIP's), and the guidance is weak: masker=dict(standardize=True) makes it
# felt.
_base_ = [
    '../_base_/models/point-m2ae-b.py',
    '../_base_/datasets/shapenet55.py',
    '../_base_/schedules/pretrain_m2ae_300e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='I2PMAE',
    masker=dict(type='SaliencyMasker', ratio=0.8),
    target=dict(
        type='DenseTarget',
        projector=dict(type='AxisProjector', size=224),
        teacher=dict(
            type='OpenClipTeacher',
            model_name='ViT-B-16-quickgelu',
            checkpoint='weights/ViT-B-16.pt',
            projection=True,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
        ),
    ),
    losses=dict(semantic=dict(type='L2Loss')),
    num_pred_points=8,
)
pipeline = [
    dict(type='mmkd3d.LoadPoints'),
    dict(type='mmkd3d.SamplePoints', num_points=2048),
    dict(type='mmkd3d.NormalizePoints'),
    dict(type='mmkd3d.PackPoints'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=pipeline))
randomness = dict(seed=1)
auto_scale_lr = dict(base_batch_size=64)
