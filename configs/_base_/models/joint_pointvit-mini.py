# Joint pretraining for two CPU cores: student 4 x 128, 32 patches, as in
# point-mae_pointvit-mini.py; an image and a text teacher; the labels that ToyShapes makes.
_base_ = './point-mae_pointvit-mini.py'

model = dict(
    type='JointPretraining',
    data_preprocessor=dict(
        augments=[dict(type='RandomRotation', axis=1), dict(type='ScaleTranslate')]
    ),
    losses=dict(
        chamfer=dict(type='ChamferLoss', norm='l2', loss_weight=10.0),
        img=dict(type='CosineLoss'),
        text=dict(type='CosineLoss'),
    ),
    targets=dict(
        img=dict(
            type='ImageTarget',
            reduce='mean',
            renderer=dict(type='ViewRenderer', num_views=4, size=128),
            teacher=dict(type='ImageNetTeacher', size=128),
        ),
        text=dict(type='TextTarget', prompts='recon-60-v1', teacher=dict(type='TextTeacher')),
    ),
    labels=dict(category=16, parts=64, symmetry=3),
)
