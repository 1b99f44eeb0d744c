# What helps in joint pretraining, what holds ACT back, and what do the weights of the image
# teacher bring to each method? One thing changed at a time, with an eighth of the steps of
# the shipped students and three seeds; frozen features.
#   python tools/prepare_data/hold_out.py data/psb_1809.npz --train-half is_test \
#       --label fine --every 3 --out work_dirs/psb_train_half.npz
#   python tools/study.py tools/studies/ablations.py --jobs 2
seeds = (0, 1, 2)
made = '1xb16-20k_toyshapes'
joint, point_mae = f'joint_pointvit-mini_{made}', f'point-mae_pointvit-mini_{made}'
act = f'act_pointvit-mini_minilm-std_{made}'
recon, concept = f'recon-mini_{made}', f'concept_pointvit-mini_{made}'
i2p_mae = f'i2p-mae-mini_{made}'
short = [
    'optim_wrapper.type=mmkd3d.Bf16OptimWrapper',
    'train_cfg.max_iters=2500',
    'param_scheduler.1.T_max=2500',
]
image = ['model.targets.img.cache={image-cache}/img']
random = ['model.targets.img.teacher.random_weights=True']
random_image = [*random, 'model.targets.img.cache={random-image-cache}/img']
random_target = ['model.target.teacher.random_weights=True']
no_image = ['model.losses.img=None', 'model.targets.img=None']
no_text = ['model.losses.text=None', 'model.targets.text=None']
no_labels = [f'model.labels.{name}=None' for name in ('category', 'parts', 'symmetry')]
stage_1 = ['model.teacher.checkpoint={act-autoencoder}']
rows = {
    'all': (joint, image),
    'no-image-teacher': (joint, no_image),
    'random-image-teacher': (joint, random_image),
    'no-text-teacher': (joint, [*image, *no_text]),
    'no-teachers': (joint, [*no_image, *no_text]),
    'no-labels': (joint, [*image, *no_labels]),
    'no-parts': (joint, [*image, 'model.labels.parts=None']),
    'reconstruction-alone': (point_mae, []),
    'act': (act, stage_1),
    'act-60-percent-masked': (act, [*stage_1, 'model.masker.ratio=0.6']),
    'act-targets-as-they-are': (act, [*stage_1, 'model.standardize=False']),
    'recon': (recon, image),
    'recon-random-image-teacher': (recon, random_image),
    'concept': (concept, ['model.target.cache={concept-cache}/target']),
    'concept-random-teacher': (
        concept,
        [*random_target, 'model.target.cache={random-concept-cache}/target'],
    ),
    'i2p-mae': (i2p_mae, ['model.target.cache={i2p-cache}/target']),
    'i2p-mae-random-teacher': (
        i2p_mae,
        [*random_target, 'model.target.cache={random-i2p-cache}/target'],
    ),
}
half = ['--dtype', 'float16']
caches = {
    'image': (joint, [*half, '--only', 'img'], random),
    'concept': (concept, half, random_target),
    'i2p': (i2p_mae, ['--copies', '1'], random_target),
}
steps = {}
for name, (config, arguments, weights) in caches.items():
    cache = dict(cache=config, seeds=(0,), arguments=arguments)
    steps |= {f'{name}-cache': cache, f'random-{name}-cache': dict(cache, options=weights)}
steps |= {
    'act-autoencoder': dict(
        train='act-autoencoder_minilm_1xb16-2500i_toyshapes', seeds=(0,), options=short[:1]
    )
}
alone = ('act', 'recon', 'concept', 'i2p-mae')  # as they are; other rows change them
# Settings are chosen on a split of the training half; the test half reports.
sets = {
    'a split of the training half': ('half', 'work_dirs/psb_train_half.npz', 'fine', '1'),
    '21 classes': ('fine', '{{$MMKD3D_DATA:data}}/psb_1809.npz', 'fine', '1 5 20'),
    '21 coarse classes': ('coarse', '{{$MMKD3D_DATA:data}}/psb_1809.npz', 'coarse', '1 5 20'),
}
for row, (config, options) in rows.items():
    steps[row] = dict(train=config, options=[*short, *options])
    for key, file, label, few in sets.values():
        steps[f'probe/{key}/{row}'] = dict(
            probe=config,
            checkpoint=f'{{{row}}}',
            arguments=['--data', file, '--split', 'is_test']
            + ['--label', label, '--names', f'{label}_names', '--classes', 'in_both_splits']
            + ['--method', 'svm', 'knn', '--few-labels', *few.split()],
        )
tables = [
    dict(
        title=f'What helps: Princeton Shape Benchmark, {title}',
        rows={row: f'probe/{key}/{row}' for row in rows},
        columns={'svm/accuracy': 'linear SVM', 'knn/accuracy': 'k-NN'}
        | {f'{n}-label/accuracy': f'{n} label{"s" * (n != "1")}' for n in few.split()},
        against={
            row: next((name for name in alone if row.startswith(f'{name}-')), 'all')
            for row in rows
            if row not in ('all', *alone)
        },
    )
    for title, (key, _, _, few) in sets.items()
]
