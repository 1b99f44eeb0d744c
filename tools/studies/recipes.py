# Which recipe of finetuning is best? Chosen on splits of training halves; no test half is
# touched. Each variant changes one thing of the recipe of its config.
# - few, many: 41 classes of the Princeton Shape Benchmark with 10 shapes or more, 438 shapes
#   to learn from (or 5 of each class) and 197 held out;
# - parts: COSEG, 281 shapes to learn from and 140 held out;
# - segmentation: seven of the ten training scans of data/scannet_small, the others held out;
# - detection: VoteNet on 32 ToyRooms, 32 other training rooms held out.
#   python tools/prepare_data/hold_out.py data/psb_1809.npz --train-half is_test \
#       --label fine --every 3 --out work_dirs/psb_train_half.npz
#   python tools/prepare_data/hold_out.py data/partseg_coseg.npz --train-half is_test \
#       --label category --every 3 --out work_dirs/coseg_train_half.npz
#   python tools/prepare_data/scannet_small.py
#   python tools/study.py tools/studies/recipes.py --jobs 2
seeds = (0, 1)
bf16 = 'optim_wrapper.type=mmkd3d.Bf16OptimWrapper'
starts = {
    'scratch': [],
    'point-mae': [
        'model.backbone.init_cfg.type=Pretrained',
        'model.backbone.init_cfg.checkpoint=point-mae-mini',
    ],
}
held = ('val', 'test')
halves = ('train', *held)
shapes = ['model.head.num_classes=41', bf16]
for half in halves:
    shapes += [
        f'{half}_dataloader.dataset.file=work_dirs/psb_train_half.npz',
        f'{half}_dataloader.dataset.subset_of_classes=None',
        f'{half}_dataloader.dataset.min_per_class=10',
    ]
parts = [bf16]
parts += [f'{half}_dataloader.dataset.file=work_dirs/coseg_train_half.npz' for half in halves]
scans = [bf16]
scans += [f'{half}_dataloader.dataset.ann_file=scannet_infos_train.pkl' for half in held]
scans += ['train_dataloader.dataset.indices=[0,1,2,3,4,5,6]']
scans += [f'{half}_dataloader.dataset.indices=[7,8,9]' for half in held]
rooms = [bf16]
rooms += [f'{half}_dataloader.dataset.data_root=work_dirs/toy_rooms_64' for half in halves]
rooms += [f'{half}_dataloader.dataset.rooms.num_train=64' for half in halves]
rooms += [f'{half}_dataloader.dataset.rooms.num_val=1' for half in halves]
rooms += [f'{half}_dataloader.dataset.ann_file=scannet_infos_train.pkl' for half in held]
numbers = [','.join(str(n) for n in range(first, first + 32)) for first in (0, 32)]
rooms += [f'train_dataloader.dataset.indices=[{numbers[0]}]']
rooms += [f'{half}_dataloader.dataset.indices=[{numbers[1]}]' for half in held]
epochs = 'train_cfg.max_epochs={0} train_cfg.val_interval={0} param_scheduler.1.T_max={0}'
rooms += epochs.format(100).split()
# Config, data, steps, metric.
recipes = dict(
    few=('cls_pointvit-mini_few_1xb32-600i_psb-21', shapes, 600, 'acc/overall'),
    many=('cls_pointvit-mini_1xb32-800i_psb-21', shapes, 800, 'acc/overall'),
    parts=('partseg_pointvit-mini_1xb16-800i_coseg', parts, 800, 'part_iou/instance'),
    segmentation=('semseg_pointvit-mini_1xb4-20e_scannet-small', scans, None, 'miou'),
    detection=('votenet_rooms_toy', rooms, None, 'mAP_0.25'),
)
rate, keys = 'optim_wrapper.optimizer.lr', 'optim_wrapper.paramwise_cfg.custom_keys'
decay = 'optim_wrapper.paramwise_cfg.layer_decay_rate'
augments = 'model.data_preprocessor.augments'
hooks = (
    'custom_hooks=[{"type":"mmkd3d.ReseedHook"},{"type":"mmkd3d.FiniteLossHook"},'
    '{"type":"mmkd3d.HeadFirstHook","iters":%d}]'
)
scenes = {
    'segmentation': {
        'the recipe': [],
        'half the rate': [f'{rate}=5e-4'],
        'twice the rate': [f'{rate}=2e-3'],
        'backbone at a fifth of the rate': [f'{rate}=2e-4', f'{keys}.decode_head.lr_mult=5'],
        'twice the steps': ['train_cfg.max_epochs=40', 'train_cfg.val_interval=40']
        + ['param_scheduler.period=40'],
    },
    'detection': {
        'the recipe': [],
        'half the rate': [f'{rate}=2e-3'],
        'twice the rate': [f'{rate}=8e-3'],
        'one rate for all': [f'{keys}.backbone.lr_mult=1'],
        'backbone at a tenth of the rate': [f'{keys}.backbone.lr_mult=0.1'],
        'twice the steps': epochs.format(200).split(),
    },
}
steps = {}
rows = {}
for recipe in recipes:
    config, data, iters = recipes[recipe][:3]
    if recipe in scenes:
        variants, more = scenes[recipe], {}
    else:
        length = {
            number: [
                f'train_cfg.max_iters={number}',
                f'train_cfg.val_interval={number}',
                f'param_scheduler.0.end={number // 10}',
                f'param_scheduler.1.T_max={number}',
            ]
            for number in (iters // 2, iters * 2)
        }
        head = f'{keys}.head.lr_mult'
        variants = {
            'the recipe': [],
            'backbone at half the rate': [f'{rate}=1e-4', f'{head}=20'],
            'backbone at twice the rate': [f'{rate}=4e-4', f'{head}=5'],
            'one rate for all': [f'{head}=1'],
            'layer decay': [f'{decay}=0.75'],
            'half the steps': length[iters // 2],
            'twice the steps': length[iters * 2],
            'head first': [hooks % (iters // 4)],
        }
        more = {  # from a student alone
            'head at half the rate': [f'{head}=5'],
            'head at twice the rate': [f'{head}=20'],
            'no augmentation': [f'{augments}=[]'],
            'turns about the vertical': [
                f'{augments}=[{{"type":"RandomRotation"}},{{"type":"ScaleTranslate"}}]'
            ],
            'statistics not recomputed': ['default_hooks.precise_bn=None'],
        }
        if recipe != 'parts':
            more['maximum alone'] = ['model.head.pooling=[max]']
            more['linear head'] = ['model.head.hidden_dims=[]']
    draw = ['train_dataloader.dataset.draw={seed}'] if recipe == 'few' else []
    for begin, student in starts.items():
        for variant, options in (variants | more if student else variants).items():
            step = f'{recipe}/{begin}/{variant}'
            steps[step] = dict(train=config, test=True, options=[*data, *student, *draw, *options])
            rows.setdefault(f'{recipe}/{begin}', {})[variant] = step
tables = [
    dict(
        title=f'{recipe}, from {begin}',
        rows=rows[f'{recipe}/{begin}'],
        columns={recipes[recipe][3]: recipes[recipe][3]},
        scale=100.0 if recipe in scenes else 1.0,
        against={
            variant: 'the recipe'
            for variant in rows[f'{recipe}/{begin}']
            if variant != 'the recipe'
        },
    )
    for recipe in recipes
    for begin in starts
]
