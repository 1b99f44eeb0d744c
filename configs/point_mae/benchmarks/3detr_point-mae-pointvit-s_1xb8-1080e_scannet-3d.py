# 3DETR on ScanNet with our student as encoder and 3DETR's other settings. Published
# students of rooms also have 2,048 tokens. The learning rate of the student is smaller
# than the decoder's, most of all in the first layers.
_base_ = ['../../3detr/3detr_1xb8-1080e_scannet-3d.py', '../../_base_/students/pointvit-s.py']

model = dict(
    backbone=dict(_delete_=True, num_groups=2048, **_base_.student),
    bbox_head=dict(fps_rule='mmcv', in_channels=384),
)
optim_wrapper = dict(
    constructor='mmkd3d.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
)
