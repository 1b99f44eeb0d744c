# Which recipe of finetuning is best, for few and for many labels? Chosen on a split of the
# training half of the Princeton Shape Benchmark: 41 classes with 10 shapes or more, 438 shapes
# to learn from and 197 held out; the test half is not touched.
#   python tools/prepare_data/hold_out.py data/psb_1809.npz --train-half is_test \
#       --label fine --every 3 --out work_dirs/psb_train_half.npz
#   python tools/study.py tools/studies/recipes.py --jobs 2
# Each variant changes one thing of configs/_base_/schedules/finetune_{few,many}.py.
seeds = (0, 1)
pretrain = 'point-mae_pointvit-mini_1xb16-20k_toyshapes'
recipes = dict(
    few=('cls_pointvit-mini_few_1xb32-600i_psb-21', 2e-4, 10, 600),
    many=('cls_pointvit-mini_1xb32-400i_psb-21', 2e-4, 10, 400),
)
starts = {
    'scratch': [],
    'point-mae': [
        'model.backbone.init_cfg.type=Pretrained',
        'model.backbone.init_cfg.checkpoint={point-mae}',
    ],
}
shapes = ['model.head.num_classes=41', 'optim_wrapper.type=mmkd3d.Bf16OptimWrapper']
for half in ('train', 'val', 'test'):
    shapes += [
        f'{half}_dataloader.dataset.file=work_dirs/psb_train_half.npz',
        f'{half}_dataloader.dataset.subset_of_classes=None',
        f'{half}_dataloader.dataset.min_per_class=10',
    ]
rate, head = 'optim_wrapper.optimizer.lr', 'optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult'
decay = 'optim_wrapper.paramwise_cfg.layer_decay_rate'
augments = 'model.data_preprocessor.augments'
hooks = (
    'custom_hooks=[{"type":"mmkd3d.ReseedHook"},{"type":"mmkd3d.FiniteLossHook"},'
    '{"type":"mmkd3d.HeadFirstHook","iters":%d}]'
)
steps = {'point-mae': dict(train=pretrain, seeds=(0,))}
rows = {}
for recipe, (config, lr, factor, iters) in recipes.items():
    length = {
        number: [
            f'train_cfg.max_iters={number}',
            f'train_cfg.val_interval={number}',
            f'param_scheduler.0.end={number // 10}',
            f'param_scheduler.1.T_max={number}',
        ]
        for number in (iters // 2, iters * 2)
    }
    variants = {
        'the recipe': [],
        'backbone at half the rate': [f'{rate}={lr / 2}', f'{head}={factor * 2}'],
        'backbone at twice the rate': [f'{rate}={lr * 2}', f'{head}={factor / 2}'],
        'one rate for all': [f'{head}=1'],
        'other layer decay': [f'{decay}={0.75 if recipe == "few" else 1.0}'],
        'half the steps': length[iters // 2],
        'twice the steps': length[iters * 2],
        'head first': [hooks % (iters // 4)],
    }
    more = {  # from a student alone
        'head at half the rate': [f'{head}={factor / 2}'],
        'head at twice the rate': [f'{head}={factor * 2}'],
        'maximum alone': ['model.head.pooling=[max]'],
        'linear head': ['model.head.hidden_dims=[]'],
        'no augmentation': [f'{augments}=[]'],
        'turns about the vertical': [
            f'{augments}=[{{"type":"RandomRotation"}},{{"type":"ScaleTranslate"}}]'
        ],
        'statistics not recomputed': ['default_hooks.precise_bn=None'],
    }
    draw = ['train_dataloader.dataset.draw={seed}'] if recipe == 'few' else []
    for begin, student in starts.items():
        tried = variants | more if student else variants
        for variant, options in tried.items():
            step = f'{recipe}/{begin}/{variant}'
            steps[step] = dict(
                train=config, test=True, options=[*shapes, *student, *draw, *options]
            )
            rows.setdefault(f'{recipe}/{begin}', {})[variant] = step
tables = [
    dict(
        title=f'{name.replace("/", " labels, from ")}',
        rows=found,
        columns={'acc/overall': 'accuracy', 'acc/class_mean': 'class mean'},
        against={variant: 'the recipe' for variant in found if variant != 'the recipe'},
    )
    for name, found in rows.items()
]
