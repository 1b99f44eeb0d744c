# ReCon with a guided mask: patches that CLIP attends to stay visible, as in I2P-MAE.
# Ours, not published.
_base_ = './recon-b_1xb128-300e_shapenet55.py'

model = dict(
    masker=dict(
        type='SaliencyMasker',
        ratio=0.6,
        standardize=True,  # as published there, it is nearly a random mask
        target=dict(
            type='DenseTarget',
            teacher=dict(
                type='OpenClipTeacher',
                model_name='ViT-B-16-quickgelu',
                checkpoint='weights/ViT-B-16.pt',
            ),
        ),
    )
)
