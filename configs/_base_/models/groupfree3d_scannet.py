# mmdetection3d's GroupFree3D (6 layers) with its head and its losses for the 18
# classes of ScanNet, apart from data and schedule.
_base_ = ['mmdet3d::_base_/models/groupfree3d.py', './scannet_sizes.py']

model = dict(
    bbox_head=dict(
        num_classes=18,
        size_cls_agnostic=False,
        bbox_coder=dict(
            type='GroupFree3DBBoxCoder',
            num_sizes=18,
            num_dir_bins=1,
            with_rot=False,
            size_cls_agnostic=False,
            mean_sizes=_base_.mean_sizes,
        ),
        center_loss=dict(beta=0.04),
        size_res_loss=dict(beta=1 / 9, loss_weight=10 / 9),
    ),
    test_cfg=dict(prediction_stages='last_three'),
)
