# The small student with ReCon's global tokens; the head reads all of them.
_base_ = './classifier_pointvit-mini.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ReConTransformer',
        embed_dims=128,
        depth=4,
        num_heads=4,
        num_groups=32,
        group_size=32,
        patch_dims=(32, 64),
        drop_path_rate=0.1,
    ),
    head=dict(pooling=('cls', 'img', 'text', 'max')),
)
