#!/usr/bin/env python
"""Linear SVM on the frozen features of a pretrained student."""
import argparse

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed

import mmkd3d
from mmkd3d.checkpoints import load_pretrained
from mmkd3d.evaluation.linear_probe import extract_features, linear_svm
from mmkd3d.registry import DATASETS, MODELS


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python tools/probe.py '
        'point-mae_pt-t_1xb64-30e_psb work_dirs/.../epoch_30.pth \\\n'
        '    --data psb_1809.npz --label fine --names fine_names '
        '--split is_test \\\n    --classes in_both_splits')
    parser.add_argument('config', help='name of a shipped config, or a file')
    parser.add_argument(
        'checkpoint', help="of that config, or 'none' for random weights")
    parser.add_argument('--data', required=True, help='npz file of shapes')
    parser.add_argument('--points', default='points', help='array of clouds')
    parser.add_argument('--label', required=True, help='array of class ids')
    parser.add_argument('--names', help='array of class names')
    parser.add_argument(
        '--split', required=True, help='array that is true for test shapes')
    parser.add_argument(
        '--classes', nargs='+',
        help="class names to keep, or 'in_both_splits'")
    parser.add_argument('--num-points', type=int, default=1024)
    parser.add_argument(
        '--C', type=float, help='of the SVM; else by cross-validation')
    parser.add_argument('--seed', type=int, default=0,
                        help='of random weights')
    args = parser.parse_args(argv)
    config = (
        Config.fromfile(args.config)
        if args.config.endswith('.py') else mmkd3d.get_config(args.config))
    init_default_scope('mmkd3d')
    set_random_seed(args.seed)
    model = MODELS.build(config.model)
    if args.checkpoint != 'none':
        load_pretrained(model, args.checkpoint, prefix='')
    classes = args.classes
    if classes == ['in_both_splits']:
        classes = 'in_both_splits'
    features = {}
    for test in (False, True):
        dataset = DATASETS.build(
            dict(
                type='mmkd3d.NpzPoints',
                file=args.data,
                points=args.points,
                label=args.label,
                names=args.names,
                split=args.split,
                split_value=test,
                subset_of_classes=classes,
                pipeline=[
                    dict(type='mmkd3d.LoadPoints'),
                    dict(
                        type='mmkd3d.SamplePoints',
                        num_points=args.num_points,
                        method='fps'),
                    dict(type='mmkd3d.NormalizePoints'),
                    dict(type='mmkd3d.PackPoints')
                ]))
        features[test] = extract_features(model, dataset)
    accuracy, C = linear_svm(*features[False], *features[True], C=args.C)
    print(f'\nlinear SVM: {accuracy:.2f} % of {len(features[True][1])} test '
          f'shapes, {len(set(features[True][1]))} classes, C={C:g}')
    return accuracy


if __name__ == '__main__':
    main()
