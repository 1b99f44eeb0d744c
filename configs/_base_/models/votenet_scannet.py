# mmdetection3d's VoteNet with its head for the 18 classes of ScanNet, apart
# from data and schedule.
_base_ = ['mmdet3d::_base_/models/votenet.py', './scannet_sizes.py']

model = dict(
    bbox_head=dict(
        num_classes=18,
        bbox_coder=dict(
            type='PartialBinBasedBBoxCoder',
            num_sizes=18,
            num_dir_bins=1,
            with_rot=False,
            mean_sizes=_base_.mean_sizes,
        ),
    )
)
