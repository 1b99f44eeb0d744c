# The local stream of ReCon's student, as it reads rooms (see pt-s.py).
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
        checkpoint='work_dirs/recon_base_1xb128-300e_shapenet55/epoch_301.pth',
        # The stream of the global tokens is not used.
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
