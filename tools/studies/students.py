# The shipped students: pretraining on generated shapes, probes of frozen features on four sets of
# real shapes, and finetuning on few and on all labels. Probes and finetuning read the students
# that are in mmkd3d/students; tools/ship_students.py puts new ones there.
#   python tools/prepare_data/hold_out.py data/scannet_objects.npz --by scene \
#       --test scene0004 scene0005 --up z --out work_dirs/scannet_rooms.npz
#   python tools/prepare_data/hold_out.py data/modelnet40_subset_156.npz --label label \
#       --every 2 --out work_dirs/modelnet40_156.npz
#   python tools/study.py tools/studies/students.py --jobs 2
#   python tools/ship_students.py tools/studies/students.py
seeds = (0, 1, 2)
bf16 = 'optim_wrapper.type=mmkd3d.Bf16OptimWrapper'
start = ['model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint={}']
data = '{{$MMKD3D_DATA:data}}'
made = '_1xb16-20k_toyshapes'

# Name: config of the pretraining, what it starts from, the finetuning of its kind.
pretrained = {
    'point-mae-mini': ('point-mae_pointvit-mini', [], 'pointvit-mini'),
    'concept-mini': (
        'concept_pointvit-mini',
        ['model.target.cache={concept-cache}/target'],
        'pointvit-mini',
    ),
    'joint-mini': (
        'joint_pointvit-mini',
        ['model.targets.img.cache={image-cache}/img'],
        'pointvit-mini',
    ),
    'act-mini': (
        'act_pointvit-mini_minilm-std',
        ['model.teacher.checkpoint={act-autoencoder}'],
        'act-pointvit-mini',
    ),
    'recon-mini': ('recon-mini', ['model.targets.img.cache={image-cache}/img'], 'recon-mini'),
    'i2p-mae-mini': ('i2p-mae-mini', ['model.target.cache={i2p-cache}/target'], 'm2ae-mini'),
}
# Made categories that are classes of the tests, or kinds of such a class. PSB's coarse classes
# (animal, plant, tool, vehicle, ...) hold more of them.
overlap = (
    'airplane alien bathtub bed bench biplane bookshelf bottle cabinet car chair conifer crate '
    'curtain desk door dresser fighter_jet free_vase goblet guitar handgun head helicopter '
    'house human keyboard lamp laptop monitor mug office_chair palm piano pot potted_plant '
    'sailboat ship sink skull skyscraper sofa spaceship stool sword table tent toilet tree vase '
    'wardrobe wastebasket window'
).split()
# The same pretraining without the shapes of these categories.
without = {'joint-mini': 'joint-other'}
controls = {
    'joint-other': (
        'joint_pointvit-mini',
        [
            'model.targets.img.cache={image-cache}/img',
            f'train_dataloader.dataset.exclude=[{",".join(overlap)}]',
        ],
        'pointvit-mini',
    ),
    'joint-no-labels': (
        'joint_pointvit-mini',
        ['model.targets.img.cache={image-cache}/img']
        + [f'model.labels.{name}=None' for name in ('category', 'parts', 'symmetry')],
        'pointvit-mini',
    ),
}
made_students = pretrained | controls
# Name: what probes and finetuning start from.
weights = {name: name if name in pretrained else f'{{{name}}}' for name in made_students}
# Students of the same sizes with random weights.
random = {
    'random, plain': 'point-mae_pointvit-mini',
    'random, class token': 'act_pointvit-mini_minilm-std',
    'random, global tokens': 'recon-mini',
    'random, hierarchical': 'i2p-mae-mini',
}
scratch = {
    'scratch, plain': 'pointvit-mini',
    'scratch, class token': 'act-pointvit-mini',
    'scratch, global tokens': 'recon-mini',
    'scratch, hierarchical': 'm2ae-mini',
}
# Name: file, labels and names in it, number of classes in both halves, few labels.
sets = {
    'psb-21': (f'{data}/psb_1809.npz', 'fine', 'fine_names', 21, (1, 5, 20)),
    'psb-coarse': (f'{data}/psb_1809.npz', 'coarse', 'coarse_names', 21, (1, 5, 20)),
    'scannet': ('work_dirs/scannet_rooms.npz', 'label', 'names', 6, (1, 5, 20)),
    'modelnet': ('work_dirs/modelnet40_156.npz', 'label', 'names', 33, (1,)),
}
few_labels = ('scannet', 'modelnet')  # sets that take the recipe for few labels
titles = {
    'psb-21': 'Princeton Shape Benchmark, 21 classes',
    'psb-coarse': 'Princeton Shape Benchmark, 21 coarse classes',
    'scannet': 'objects of ScanNet, tested in other rooms',
    'modelnet': 'ModelNet40, 33 classes, 81 shapes to learn from',
}
steps = {
    'image-cache': dict(
        cache=f'recon-mini{made}', seeds=(0,), arguments=['--dtype', 'float16', '--only', 'img']
    ),
    'concept-cache': dict(
        cache=f'concept_pointvit-mini{made}', seeds=(0,), arguments=['--dtype', 'float16']
    ),
    'i2p-cache': dict(cache=f'i2p-mae-mini{made}', seeds=(0,), arguments=['--copies', '1']),
    'act-autoencoder': dict(
        train='act-autoencoder_minilm_1xb16-2500i_toyshapes', seeds=(0,), options=[bf16]
    ),
}
for name, (config, options, _) in made_students.items():
    steps[name] = dict(train=config + made, seeds=(0,), options=[bf16, *options])

# Probes of frozen features.
split = ['--split', 'is_test', '--classes', 'in_both_splits', '--method', 'svm', 'knn']
probed = {name: (config + made, weights[name]) for name, (config, *_) in made_students.items()}
probed.update({name: (config + made, 'none') for name, config in random.items()})
probed['histograms'] = ('shape-distributions', 'none')
for name, (config, checkpoint) in probed.items():
    for target, (file, label, names, _, few) in sets.items():
        if name in [*random][1:] and target != 'psb-21':
            continue
        where = ['--data', file, '--label', label, '--names', names]
        steps[f'probe/{target}/{name}'] = dict(
            probe=config,
            checkpoint=checkpoint,
            seeds=seeds if name in random else (0,),
            arguments=[*where, *split, '--few-labels', *map(str, few)],
        )

# What a budget buys.
budgets = (2500, 5000, 10000, 15000, 20000)
for name, (config, *_) in pretrained.items():
    for number in budgets:
        file, label, names, *_ = sets['psb-21']
        steps[f'budget/{name}/{number}'] = dict(
            probe=config + made,
            checkpoint=f'{{{name}@iter_{number}}}',
            seeds=(0,),
            arguments=['--data', file, '--label', label, '--names', names, *split]
            + ['--few-labels', '5'],
        )

# Finetuning under one recipe for few and one for many labels, from scratch and from each
# student: on few labels of PSB-21, and on all labels of each set and of COSEG's parts.
wanted = {name: (weights[name], kind) for name, (_, _, kind) in made_students.items()}
wanted.update({name: (None, kind) for name, kind in scratch.items()})
base = {}
for name, (checkpoint, kind) in wanted.items():
    base[name] = [bf16]
    if checkpoint:
        base[name] += [option.format(checkpoint) for option in start]
    for shots in (1, 5, 20):
        steps[f'finetune/{shots}/{name}'] = dict(
            train=f'cls_{kind}_few_1xb32-600i_psb-21',
            test=True,
            options=[
                *base[name],
                f'train_dataloader.dataset.shots={shots}',
                'train_dataloader.dataset.draw={seed}',
            ],
        )
    for target, (file, label, names, number, _) in sets.items():
        recipe = 'few_1xb32-600i' if target in few_labels else '1xb32-800i'
        settings = [f'model.head.num_classes={number}']
        settings += ['train_dataloader.dataset.shots=None'] * (target in few_labels)
        for half in ('train', 'val', 'test'):
            settings += [
                f'{half}_dataloader.dataset.{key}={value}'
                for key, value in dict(file=file, label=label, names=names, ids=None).items()
            ]
        steps[f'finetune/{target}/{name}'] = dict(
            train=f'cls_{kind}_{recipe}_psb-21', test=True, options=[*base[name], *settings]
        )
for name, (_, kind) in wanted.items():
    token = kind == 'act-pointvit-mini'  # its class token is not used
    steps[f'finetune/coseg/{name}'] = dict(
        train=f'partseg_{"pointvit-mini" if token else kind}_1xb16-800i_coseg',
        test=True,
        options=base[name]
        + ['model.backbone.init_cfg.allow_unexpected=[cls_]'] * (token and name in made_students),
    )

probes = {
    'svm/accuracy': 'linear SVM',
    'knn/accuracy': 'k-NN',
    '1-label/accuracy': '1 label',
    '5-label/accuracy': '5 labels',
    '20-label/accuracy': '20 labels',
}
# The student from scratch that each is compared with.
same = {
    name: other for name, (_, kind) in wanted.items() for other, k in scratch.items() if k == kind
}
finetuned = {
    '1': 'PSB, 21 classes, 1 label a class',
    '5': 'PSB, 21 classes, 5 labels a class',
    '20': 'PSB, 21 classes, 20 labels a class',
    **{target: f'{title}, all labels' for target, title in titles.items()},
    'coseg': 'parts of COSEG, all labels',
}
measures = {
    key: {'part_iou/instance': 'instance mIoU', 'part_iou/category': 'class mIoU'}
    if key == 'coseg'
    else {'acc/overall': 'accuracy', 'acc/class_mean': 'class mean'}
    for key in finetuned
}
tables = [
    dict(
        title=f'Frozen features: {title}',
        rows={n: f'probe/{target}/{n}' for n in probed if f'probe/{target}/{n}' in steps},
        columns={
            metric: heading
            for metric, heading in probes.items()
            if 'label' not in metric or int(metric.split('-')[0]) in sets[target][-1]
        },
    )
    for target, title in titles.items()
]
tables += [
    dict(
        title=f'Finetuning: {title}',
        rows={name: f'finetune/{key}/{name}' for name in wanted},
        columns=measures[key],
        against={name: same[name] for name in made_students},
    )
    for key, title in finetuned.items()
]
tables += [
    dict(
        title='What a budget buys: PSB, 21 classes, frozen features',
        rows={
            f'{name}, {number:,} steps': f'budget/{name}/{number}'
            for name in pretrained
            for number in budgets
        },
        columns={k: v for k, v in probes.items() if k[0] not in '12'},
    )
]
notes = (
    'One pretraining. Frozen: ± is the deviation over ten draws of few labels. Finetuned: mean and '
    'deviation over seeds, each with another draw of few labels, and the mean paired difference '
    'with its 95 % interval. docs/results.md compares all students, with random weights, from '
    'scratch and with histograms.'
)
