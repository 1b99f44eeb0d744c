# Does training in bf16 cost accuracy? A student of the Princeton Shape Benchmark, pretrained in
# float32 and in bf16, and probed.
#   python tools/study.py tools/studies/bf16.py --jobs 2
seeds = (0, 1, 2)
probe = '--data {{$MMKD3D_DATA:data}}/psb_1809.npz --label fine --names fine_names --split is_test'
probe = [
    *probe.split(),
    '--classes',
    'in_both_splits',
    '--few-labels',
    '5',
    '--method',
    'svm',
    'knn',
]
config = 'point-mae_pointvit-mini_1xb16-20k_psb'
steps = {
    'float32': dict(train=config),
    'bf16': dict(train=config, options=['optim_wrapper.type=mmkd3d.Bf16OptimWrapper']),
    'probe/float32': dict(probe=config, checkpoint='{float32}', arguments=probe),
    'probe/bf16': dict(probe=config, checkpoint='{bf16}', arguments=probe),
}
tables = [
    dict(
        title='Point-MAE in float32 and bf16: probes on frozen features, 21 classes',
        rows={'float32': 'probe/float32', 'bf16': 'probe/bf16'},
        columns={
            'svm/accuracy': 'linear SVM',
            'knn/accuracy': 'k-NN',
            '5-label/accuracy': '5 labels',
        },
    )
]
