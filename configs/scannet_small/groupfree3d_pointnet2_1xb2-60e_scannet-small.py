# mmdetection3d's GroupFree3D on the 13 scans, with the budget of
# votenet_pointnet2_1xb2-60e_scannet-small.py: a smaller PointNet++, 128
# proposals, 3 layers. Two CPU cores.
_base_ = [
    'mmdet3d::_base_/models/groupfree3d.py',
    '../_base_/datasets/scannet_small.py',
    '../_base_/schedules/detect_60e.py',
    '../_base_/default_runtime.py',
]
default_scope = 'mmdet3d'

model = dict(
    backbone=dict(num_points=(1024, 512, 256, 128), num_samples=(32, 32, 16, 16)),
    bbox_head=dict(
        num_classes=18,
        num_decoder_layers=3,
        num_proposal=128,
        size_cls_agnostic=False,
        bbox_coder=dict(
            type='mmdet3d.GroupFree3DBBoxCoder',
            num_sizes=18,
            num_dir_bins=1,
            with_rot=False,
            size_cls_agnostic=False,
            mean_sizes=[  # metres, of the training scans of ScanNet
                [0.76966727, 0.8116021, 0.92573744],
                [1.876858, 1.8425595, 1.1931566],
                [0.61328, 0.6148609, 0.7182701],
                [1.3955007, 1.5121545, 0.83443564],
                [0.97949594, 1.0675149, 0.6329687],
                [0.531663, 0.5955577, 1.7500148],
                [0.9624706, 0.72462326, 1.1481868],
                [0.83221924, 1.0490936, 1.6875663],
                [0.21132214, 0.4206159, 0.5372846],
                [1.4440073, 1.8970833, 0.26985747],
                [1.0294262, 1.4040797, 0.87554324],
                [1.3766412, 0.65521795, 1.6813129],
                [0.6650819, 0.71111923, 1.298853],
                [0.41999173, 0.37906948, 1.7513971],
                [0.59359556, 0.5912492, 0.73919016],
                [0.50867593, 0.50656086, 0.30136237],
                [1.1511526, 1.0546296, 0.49706793],
                [0.47535285, 0.49249494, 0.5802117],
            ],
        ),
        center_loss=dict(beta=0.04),
        size_res_loss=dict(beta=1 / 9, loss_weight=10 / 9),
    ),
    test_cfg=dict(prediction_stages='last_three'),
)
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
