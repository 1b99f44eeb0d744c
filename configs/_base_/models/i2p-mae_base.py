# I2P-MAE: Point-M2AE, guided and taught by CLIP's ViT-B/16, which sees three
# views along the axes. As published, the views get the statistics of ImageNet;
# the sane choice is to delete mean and std, so that CLIP uses its own. The
# guidance is weak as published: masker=dict(standardize=True) makes it felt.
_base_ = './point-m2ae_base.py'

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
