# ReCon's student, three levels of it and the largest of its global tokens, and
# the head for the 16 categories and 50 parts of ShapeNetPart (ReCon, 8).
_base_ = './act-part-segmentor_pt-s.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ReConTransformer',
        embed_dims=384,
        depth=12,
        num_heads=6,
        num_groups=128,
        group_size=32,
        drop_path_rate=0.1,
        out_indices=(3, 7, 11),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/recon_base_1xb128-300e_shapenet55/epoch_301.pth',
        ),
    ),
    head=dict(with_global=True),
)
