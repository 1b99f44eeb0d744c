# Parts of COSEG's aliens and vases: the plain student from scratch and from
# students pretrained on the training split of the Princeton Shape Benchmark.
#   python tools/study.py tools/studies/coseg.py --jobs 2
_base_ = './psb.py'

config = 'partseg_pointvit-mini_1xb16-8e_coseg'
start = ('model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint={}')
steps = dict(
    _delete_=True,
    **{name: _base_.steps[name] for name in ('concept-cache', 'point-mae', 'concept')},
    **{'partseg/scratch': dict(train=config, test=True)},
    **{
        f'partseg/{name}': dict(
            train=config, test=True, options=[option.format(f'{{{name}}}') for option in start]
        )
        for name in ('point-mae', 'concept')
    },
)
tables = [
    dict(
        title='Parts of COSEG, 421 shapes, 1,024 points, last epoch',
        rows={
            'from scratch': 'partseg/scratch',
            'Point-MAE': 'partseg/point-mae',
            'concept distillation, MobileNetV2': 'partseg/concept',
        },
        columns={
            'part_iou/instance': 'instance mIoU',
            'part_iou/category': 'class mIoU',
            'part_iou/accuracy': 'accuracy',
        },
    )
]
