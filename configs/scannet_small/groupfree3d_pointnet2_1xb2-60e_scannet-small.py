# mmdetection3d's GroupFree3D on the 13 unpacked scans, with the budget of
# votenet_pointnet2_1xb2-60e_scannet-small.py. Two CPU cores.
_base_ = [
    '../_base_/models/groupfree3d_small.py',
    '../_base_/datasets/scannet_small.py',
    '../_base_/schedules/detect_adamw_60e.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

train_dataloader = dict(batch_size=2)
decoder = dict(lr_mult=0.1)
optim_wrapper = dict(
    optimizer=dict(lr=3e-3, weight_decay=0.0005),
    clip_grad=dict(max_norm=0.1),
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=1.0),
            'bbox_head.decoder_layers': decoder,
            'bbox_head.decoder_self_posembeds': decoder,
            'bbox_head.decoder_cross_posembeds': decoder,
            'bbox_head.decoder_query_proj': decoder,
            'bbox_head.decoder_key_proj': decoder,
        }
    ),
)
auto_scale_lr = dict(base_batch_size=2)
