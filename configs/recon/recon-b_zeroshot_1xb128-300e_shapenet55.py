# ReCon for zero-shot classification: with CLIP's image tower, image and text features
# share one space.
_base_ = './recon-b_1xb128-300e_shapenet55.py'

model = dict(
    targets=dict(
        img=dict(
            teacher=dict(
                _delete_=True,
                type='OpenClipTeacher',
                model_name='ViT-B-32-quickgelu',
                projection=True,
                checkpoint='weights/ViT-B-32.pt',
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
            )
        )
    )
)
