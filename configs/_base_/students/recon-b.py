# The local stream of ReConTransformer on rooms (see pointvit-s.py).
student = dict(
    type='mmkd3d.ReConTransformer',
    embed_dims=384,
    depth=12,
    num_heads=6,
    group_size=32,
    global_tokens=(),
    fps_rule='mmcv',
    pos_scale='scene',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='work_dirs/recon-b_1xb128-300e_shapenet55/epoch_301.pth',
        # Weights of the global stream are in the file but not in this model.
        allow_unexpected=[
            'global_',
            *(
                f'blocks.{i}.{part}_contrast.'
                for i in range(12)
                for part in ('norm1', 'norm2', 'attn', 'mlp')
            ),
        ],
    ),
)
