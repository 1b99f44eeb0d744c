#!/usr/bin/env python
"""Probe the frozen features of a student.

Linear SVM, logistic regression, k-NN, few labels, few-shot episodes,
retrieval and, for students that were trained towards text, zero-shot.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import mean

from mmkd3d.apis.cli import add_trust_option
from mmkd3d.apis.config_files import config_root
from mmkd3d.apis.errors import short_errors
from mmkd3d.evaluation.published import METHODS, POOLINGS, PUBLISHED
from mmkd3d.evaluation.records import check_seeds, spread_table, summarize, write_record

EXAMPLES = """examples:
  python tools/probe.py point-mae_pointvit-mini_1xb16-20k_psb out_{seed}/epoch_30.pth \\
      --seeds 0 1 2 --data psb_1809.npz --label fine --names fine_names \\
      --split is_test --classes in_both_splits
  python tools/probe.py recon-b_1xb128-300e_shapenet55 CHECKPOINT \\
      --protocol recon-modelnet40
  python tools/probe.py CONFIG CHECKPOINT --few-shot 5 10 --data shapes/"""


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EXAMPLES
    )
    add = parser.add_argument
    add('config', help='name of a shipped config, or a file')
    add(
        'checkpoint',
        help='checkpoint of the config, or name of a shipped student; with {seed} in its path one '
        "for each seed; 'none' for random weights",
    )
    add(
        '--data',
        help='npz file; folder with train/CLASS/ and test/CLASS/; '
        'or config whose test_dataloader has a data set with '
        "split='train' and split='test'",
    )
    npz = parser.add_argument_group('npz files')
    npz.add_argument('--points', default='points', help='array of clouds')
    npz.add_argument('--label', help='array of class ids')
    npz.add_argument('--names', help='array of class names')
    npz.add_argument('--split', help='array that is true for test shapes')
    npz.add_argument('--classes', nargs='+', help="class names to keep, or 'in_both_splits'")
    npz.add_argument(
        '--num-points', type=int, default=1024, help='points per shape; also for folders'
    )
    what = parser.add_argument_group('probes')
    add = what.add_argument
    add(
        '--method',
        nargs='+',
        choices=(*METHODS, 'zero-shot'),
        help='default: svm knn; for a zero-shot config: zero-shot',
    )
    add('--protocol', choices=tuple(PUBLISHED), help='the linear SVM of a paper: its C, its data')
    add('--C', type=float, help='C of the SVM; default: by cross-validation')
    add('--pairwise', action='store_true', help='one-vs-one SVM instead of one-vs-rest')
    add('--k', type=int, help='k of k-NN; default: by cross-validation')
    add(
        '--few-labels',
        nargs='+',
        type=int,
        default=(),
        metavar='N',
        help='also logistic regression on N labels per class, mean of 10 draws',
    )
    add(
        '--few-shot',
        nargs=2,
        type=int,
        action='append',
        default=[],
        metavar=('WAY', 'SHOT'),
        help='also episodes; may be given again',
    )
    add('--folds', type=int, default=10, help='number of episodes')
    add('--queries', type=int, default=20, help='test shapes of each class in an episode')
    add(
        '--pooling',
        choices=POOLINGS,
        default='global',
        help="pooling of the tokens; 'global': as in the student's paper",
    )
    add = parser.add_argument
    add(
        '--seeds',
        '--seed',
        nargs='+',
        type=int,
        default=[0],
        help='seeds of the checkpoints or random weights, and of the probes',
    )
    add(
        '--allow-shared-shapes',
        action='store_true',
        help='continue if test shapes are in the training data, and note it in the protocol',
    )
    add('--cache', default='work_dirs/features', help='folder of features (%(default)s)')
    add('--out', help='JSON file of the results')
    add_trust_option(parser)
    args = parser.parse_args(argv)
    try:
        check_seeds(args.seeds)
    except ValueError as error:
        parser.error(str(error))
    if args.protocol:
        if args.C is not None or args.pairwise:
            parser.error('--protocol sets C: leave out --C and --pairwise.')
        found = PUBLISHED[args.protocol]
        args.C, args.pairwise = found.C, found.pairwise
        args.method = args.method or ['svm']
        args.data = args.data or str(config_root() / f'_base_/datasets/{found.data}.py')
    if str(args.data).endswith('.npz') and not (args.label and args.split):
        parser.error('an npz file needs --label and --split')
    return args


def splits_of(args) -> Mapping[str, Mapping]:
    """Configs of the data; those of the config where none are named."""
    from mmkd3d.apis.load import find_config
    from mmkd3d.evaluation.splits import config_splits, folder_splits, npz_splits

    if args.data is None:
        test = find_config(args.config).get('test_dataloader')
        if not test:
            raise ValueError('On which shapes? Name them with --data.')
        return dict(test=test.dataset)
    if args.data.endswith('.py'):
        return config_splits(args.data)
    if Path(args.data).is_dir():
        return folder_splits(args.data, num_points=args.num_points)
    classes = args.classes
    if classes == ['in_both_splits']:
        classes = 'in_both_splits'
    return npz_splits(
        args.data,
        points=args.points,
        label=args.label,
        names=args.names,
        split=args.split,
        num_points=args.num_points,
        subset_of_classes=classes,
    )


@short_errors()
def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)

    # imported here: --help needs none of them
    from mmkd3d.apis.load import find_config
    from mmkd3d.apis.probing import StudentProbe
    from mmkd3d.evaluation.protocols import Probes
    from mmkd3d.evaluation.zero_shot import is_zero_shot

    asked = is_zero_shot(find_config(args.config).model)
    methods = args.method or (['zero-shot'] if asked else ['svm', 'knn'])
    probes = Probes(
        methods=[name for name in methods if name != 'zero-shot'],
        C=args.C,
        pairwise=args.pairwise,
        k=args.k,
        few_labels=args.few_labels,
        few_shot=args.few_shot,
        folds=args.folds,
        queries=args.queries,
    )
    probe = StudentProbe(
        args.config,
        splits_of(args),
        probes,
        zero_shot='zero-shot' in methods,
        pooling=args.pooling,
        cache=args.cache,
        allow_shared_shapes=args.allow_shared_shapes,
        trust=args.trust_checkpoint,
    )
    labels = probe.datasets['test'].metainfo.get('classes', ())
    print(f'{len(probe.datasets["test"])} test shapes, {len(labels)} classes')
    records, values = [], {}
    command = ['python', 'tools/probe.py', *argv]
    for result, record in probe.records(args.checkpoint, args.seeds, command):
        print(f'seed {record["seed"]}, {result}', flush=True)
        records.append(record)
        values.setdefault(result.key, []).append(next(iter(result.metrics.values())))
    print('\n' + spread_table(summarize(records)))
    if args.out:
        write_record(args.out, records)
    return {key: mean(found) for key, found in values.items()}


if __name__ == '__main__':
    main()
