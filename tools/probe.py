#!/usr/bin/env python
"""Linear SVM and k-NN on the frozen features of a pretrained student."""
import argparse

import torch.nn as nn
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed

import mmkd3d
from mmkd3d.checkpoints import load_pretrained
from mmkd3d.evaluation.probes import (extract_features, knn_accuracy,
                                      linear_svm)
from mmkd3d.models.pretrainers.base import BasePretrainer
from mmkd3d.registry import DATASETS, MODELS


def parse_args(argv):
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
        '--method',
        nargs='+',
        choices=('svm', 'knn'),
        default=('svm', 'knn'),
        help='default: both')
    parser.add_argument(
        '--C', type=float, help='of the SVM; else by cross-validation')
    parser.add_argument(
        '--k', type=int, help='of k-NN; else by cross-validation')
    parser.add_argument('--seed', type=int, default=0,
                        help='of random weights')
    return parser.parse_args(argv)


def build(cfg: dict) -> tuple[nn.Module, nn.Module, str]:
    """A model for ``extract``, what a checkpoint fills of it, and where.

    It is the student alone, so that no teacher's weights are asked for; all
    of it where the method has no student (ACT's stage I).
    """
    if 'backbone' not in cfg:
        model = MODELS.build(cfg)
        return model, model, ''
    model = BasePretrainer(
        cfg['backbone'], data_preprocessor=cfg.get('data_preprocessor'))
    return model, model.backbone, 'backbone.'


def extract(model, args) -> dict:
    """Features and labels of the training and the test half."""
    classes = args.classes
    if classes == ['in_both_splits']:
        classes = 'in_both_splits'
    halves = {}
    for half, is_test in (('train', False), ('test', True)):
        dataset = DATASETS.build(
            dict(
                type='mmkd3d.NpzPoints',
                file=args.data,
                points=args.points,
                label=args.label,
                names=args.names,
                split=args.split,
                split_value=is_test,
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
        halves[half] = extract_features(model, dataset)
    return halves


def main(argv=None):
    args = parse_args(argv)
    config = (
        Config.fromfile(args.config)
        if args.config.endswith('.py') else mmkd3d.get_config(args.config))
    init_default_scope('mmkd3d')
    set_random_seed(args.seed)
    model, student, prefix = build(config.model)
    if args.checkpoint != 'none':
        load_pretrained(student, args.checkpoint, prefix=prefix)
    halves = extract(model, args)
    labels = halves['test'][1]
    print(f'\n{len(labels)} test shapes, {len(set(labels))} classes')
    accuracy = {}
    if 'svm' in args.method:
        accuracy['svm'], C = linear_svm(
            *halves['train'], *halves['test'], C=args.C)
        print(f'linear SVM: {accuracy["svm"]:.2f} %, C={C:g}')
    if 'knn' in args.method:
        accuracy['knn'], k = knn_accuracy(
            *halves['train'], *halves['test'], k=args.k)
        print(f'k-NN (cosine): {accuracy["knn"]:.2f} %, k={k}')
    return accuracy


if __name__ == '__main__':
    main()
