# Semantic segmentation of a few ScanNet scans in data/scannet_small (10 to
# learn from, 3 for testing): PointNet++ of mmdetection3d and the plain student,
# from scratch and from Point-MAE, on the same blocks and as many of them.
#   python tools/study.py tools/studies/scannet_small.py --jobs 2
seeds = (0, 1, 2)
student = 'semseg_pointvit-mini_1xb4-20e_scannet-small'
steps = {
    'point-mae': dict(train='point-mae_pointvit-mini_1xb16-20k_psb'),
    'semseg/pointnet2': dict(train='semseg_pointnet2_1xb4-20e_scannet-small', test=True),
    'semseg/scratch': dict(train=student, test=True),
    'semseg/point-mae': dict(
        train=student,
        test=True,
        options=[
            'model.backbone.init_cfg.type=Pretrained',
            'model.backbone.init_cfg.checkpoint={point-mae}',
        ],
    ),
}
tables = [
    dict(
        title='Semantic segmentation, 10 scans, 240 steps of 4 blocks',
        rows={
            'PointNet++ of mmdetection3d': 'semseg/pointnet2',
            'plain student, from scratch': 'semseg/scratch',
            'plain student, Point-MAE': 'semseg/point-mae',
        },
        columns={'miou': 'mIoU', 'acc': 'accuracy', 'acc_cls': 'class mean'},
        scale=100.0,
    )
]
