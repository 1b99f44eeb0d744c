# ReCon for two CPU cores: student 4 x 128, 32 patches; views of the cloud
# instead of rendered images, a sentence transformer for the texts. The image
# teacher has its own mean and standard deviation, not those of ImageNet.
_base_ = './recon_base.py'

model = dict(
    backbone=dict(embed_dims=128, depth=4, num_heads=4, num_groups=32, patch_dims=(32, 64)),
    decoder=dict(embed_dims=128, depth=2, num_heads=4),
    targets=dict(
        img=dict(
            renderer=dict(type='ViewRenderer', num_views=1, size=224),
            teacher=dict(mean=None, std=None),
        ),
        text=dict(teacher=dict(_delete_=True, type='TextTeacher', normalize=False)),
    ),
)
