# Princeton Shape Benchmark: every small student, pretrained on the training
# split, finetuned on the 21 classes in both splits, and probed.
#   python tools/study.py tools/studies/psb.py --jobs 2
seeds = (0, 1, 2)
start = ('model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint={}')
shapes = '{{$MMKD3D_DATA:data}}/psb_1809.npz'
probe = [
    '--data',
    shapes,
    '--label',
    'fine',
    '--names',
    'fine_names',
    '--split',
    'is_test',
    '--classes',
    'in_both_splits',
    '--few-labels',
    '1',
    '2',
    '5',
    '10',
    '20',
    '--method',
    'svm',
    'knn',
    'retrieval',
]
# Name: how it is pretrained, what it starts from, the finetuning of its kind.
students = {
    'point-mae': ('point-mae_pointvit-mini_1xb16-20k_psb', [], 'cls_pointvit-mini'),
    'concept': (
        'concept_pointvit-mini_1xb16-20k_psb',
        ['model.target.cache={concept-cache}/target'],
        'cls_pointvit-mini',
    ),
    'act': (
        'act_pointvit-mini_minilm_1xb16-20k_psb',
        ['model.teacher.checkpoint={act-autoencoder}'],
        'cls_act-pointvit-mini',
    ),
    'recon': (
        'recon-mini_1xb16-20k_psb',
        [
            'model.targets.img.cache={recon-cache}/img',
            'model.targets.text.cache={recon-cache}/text',
        ],
        'cls_recon-mini',
    ),
    'point-m2ae': ('point-m2ae-mini_1xb16-20k_psb', [], 'cls_m2ae-mini'),
    'i2p-mae': ('i2p-mae-mini_1xb16-20k_psb', [], 'cls_m2ae-mini'),
}
finetune = '_1xb32-15e_psb-21'
steps = {
    'act-autoencoder': dict(train='act-autoencoder_minilm_1xb16-2500i_psb', seeds=(0,)),
    'recon-cache': dict(cache='recon-mini_1xb16-20k_psb', seeds=(0,)),
    'concept-cache': dict(cache='concept_pointvit-mini_1xb16-20k_psb', seeds=(0,)),
}
steps.update(
    {name: dict(train=config, options=options) for name, (config, options, _) in students.items()}
)
steps.update(
    {
        f'probe/{name}': dict(probe=config, checkpoint=f'{{{name}}}', arguments=probe)
        for name, (config, _, _) in students.items()
    }
)
steps.update(
    {
        f'probe/random_{name}': dict(probe=students[name][0], checkpoint='none', arguments=probe)
        for name in ('point-mae', 'act', 'recon', 'point-m2ae')
    }
)
steps.update(
    {
        f'finetune/scratch_{config}': dict(train=config + finetune, test=True)
        for config in (
            'cls_pointvit-mini',
            'cls_act-pointvit-mini',
            'cls_recon-mini',
            'cls_m2ae-mini',
        )
    }
)
steps.update(
    {
        f'finetune/{name}': dict(
            train=config + finetune,
            test=True,
            options=[option.format(f'{{{name}}}') for option in start],
        )
        for name, (_, _, config) in students.items()
    }
)
labels = {
    'scratch_cls_pointvit-mini': 'plain student, from scratch',
    'point-mae': 'Point-MAE',
    'concept': 'concept distillation, MobileNetV2',
    'scratch_cls_act-pointvit-mini': 'with a class token, from scratch',
    'act': 'ACT, MiniLM',
    'scratch_cls_recon-mini': "with ReCon's tokens, from scratch",
    'recon': 'ReCon, MobileNetV2 and MiniLM on class names',
    'scratch_cls_m2ae-mini': 'hierarchical student, from scratch',
    'point-m2ae': 'Point-M2AE',
    'i2p-mae': 'I2P-MAE, MobileNetV2',
}
probed = {
    'random_point-mae': 'plain student, random weights',
    'random_act': 'with a class token, random weights',
    'random_recon': "with ReCon's tokens, random weights",
    'random_point-m2ae': 'hierarchical student, random weights',
    **{name: labels[name] for name in students},
}
tables = [
    dict(
        title='Probes on frozen features, 21 classes, 368 shapes',
        rows={text: f'probe/{name}' for name, text in probed.items()},
        columns={
            'svm/accuracy': 'linear SVM',
            'knn/accuracy': 'k-NN',
            '1-label/accuracy': '1 label',
            '2-label/accuracy': '2 labels',
            '5-label/accuracy': '5 labels',
            '10-label/accuracy': '10 labels',
            '20-label/accuracy': '20 labels',
            'retrieval/mAP': 'retrieval, mAP',
        },
    ),
    dict(
        title='Finetuning, 21 classes, 368 shapes, last epoch',
        rows={text: f'finetune/{name}' for name, text in labels.items()},
        columns={'acc/overall': 'accuracy', 'acc/class_mean': 'class mean'},
    ),
]
