# mmdetection3d's segmentor of rooms with ReCon's student, three levels of it
# and the largest of its global tokens.
_base_ = './act-scene-segmentor_pt-s.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmkd3d.ReConTransformer',
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
    decode_head=dict(with_global=True),
)
