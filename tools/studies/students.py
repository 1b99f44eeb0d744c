# The shipped students: pretraining on made shapes, probes of frozen features on five sets of
# real shapes, and finetuning on few and on all labels.
#   python tools/prepare_data/hold_out.py data/scannet_objects.npz --by scene \
#       --test scene0004 scene0005 --up z --out work_dirs/scannet_rooms.npz
#   python tools/prepare_data/hold_out.py data/modelnet40_subset_156.npz --label label \
#       --every 2 --out work_dirs/modelnet40_156.npz
#   python tools/study.py tools/studies/students.py --jobs 2
#   python tools/ship_students.py work_dirs/studies/students
seeds = (0, 1, 2, 3, 4)
bf16 = 'optim_wrapper.type=mmkd3d.Bf16OptimWrapper'
start = ['model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint={%s}']
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
# Name: file, labels and names in it, number of classes in both halves.
sets = {
    'psb-21': (f'{data}/psb_1809.npz', 'fine', 'fine_names', 21),
    'psb-coarse': (f'{data}/psb_1809.npz', 'coarse', 'coarse_names', 17),
    'scannet': ('work_dirs/scannet_rooms.npz', 'label', 'names', 6),
    'modelnet': ('work_dirs/modelnet40_156.npz', 'label', 'names', 39),
}
titles = {
    'psb-21': 'Princeton Shape Benchmark, 21 classes',
    'psb-coarse': 'Princeton Shape Benchmark, 17 coarse classes',
    'scannet': 'objects of ScanNet, tested in other rooms',
    'modelnet': 'ModelNet40, 2 shapes a class to learn from',
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
for name, (config, options, _) in pretrained.items():
    steps[name] = dict(train=config + made, seeds=(0,), options=[bf16, *options])

# Probes of frozen features.
split = ['--split', 'is_test', '--classes', 'in_both_splits', '--method', 'svm', 'knn']
probed = {name: (config + made, f'{{{name}}}') for name, (config, *_) in pretrained.items()}
probed.update({name: (config + made, 'none') for name, config in random.items()})
probed['histograms'] = ('shape-distributions', 'none')
for name, (config, checkpoint) in probed.items():
    for target, (file, label, names, _) in sets.items():
        where = ['--data', file, '--label', label, '--names', names]
        steps[f'probe/{target}/{name}'] = dict(
            probe=config,
            checkpoint=checkpoint,
            arguments=[*where, *split, '--few-labels', '1', '5', '20'],
        )

# What a budget buys.
budgets = (2500, 5000, 10000, 15000, 20000)
for name, (config, *_) in pretrained.items():
    for number in budgets:
        file, label, names, _ = sets['psb-21']
        steps[f'budget/{name}/{number}'] = dict(
            probe=config + made,
            checkpoint=f'{{{name}@iter_{number}}}',
            seeds=(0,),
            arguments=['--data', file, '--label', label, '--names', names, *split]
            + ['--few-labels', '5'],
        )
