# I2P-MAE for two CPU cores, with an EfficientNet-Lite2 at 128 pixels as teacher (pip
# install "mmkd3d[image]"). Ours: the mask follows the teacher more closely (saliency
# standardised for each cloud), features have mean 0 and variance 1, and a weight balances
# the two losses.
_base_ = './point-m2ae-mini.py'

model = dict(
    type='I2PMAE',
    masker=dict(type='SaliencyMasker', ratio=0.8, standardize=True),
    target=dict(
        type='DenseTarget',
        precision='bf16',
        images_at_once=32,
        projector=dict(type='AxisProjector', size=128),
        teacher=dict(type='ImageNetTeacher', size=128),
    ),
    standardize=True,
    losses=dict(semantic=dict(type='L2Loss', loss_weight=0.1)),
)
