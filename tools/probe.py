#!/usr/bin/env python
"""Linear SVM, k-NN and few labels on the frozen features of a student."""
import argparse

import torch.nn as nn
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed

import mmkd3d
from mmkd3d.checkpoints import load_pretrained
from mmkd3d.evaluation.probes import (extract_features, few_label_accuracy,
                                      knn_accuracy, linear_svm)
from mmkd3d.models.pretrainers.base import BasePretrainer
from mmkd3d.registry import DATASETS, MODELS


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python tools/probe.py '
        'point-mae_pt-t_1xb64-30e_psb work_dirs/.../epoch_30.pth \\\n'
        '    --data psb_1809.npz --label fine --names fine_names '
        '--split is_test \\\n    --classes in_both_splits\n'
        'or    --data configs/_base_/datasets/modelnet40.py --method svm '
        '--C 0.075')
    parser.add_argument('config', help='name of a shipped config, or a file')
    parser.add_argument(
        'checkpoint', help="of that config, or 'none' for random weights")
    parser.add_argument(
        '--data',
        required=True,
        help='npz file of shapes, or a config whose test_dataloader has a '
        "data set that knows split='train' and split='test'")
    npz = parser.add_argument_group('of an npz file')
    npz.add_argument('--points', default='points', help='array of clouds')
    npz.add_argument('--label', help='array of class ids')
    npz.add_argument('--names', help='array of class names')
    npz.add_argument('--split', help='array that is true for test shapes')
    npz.add_argument(
        '--classes', nargs='+',
        help="class names to keep, or 'in_both_splits'")
    npz.add_argument('--num-points', type=int, default=1024)
    parser.add_argument(
        '--method',
        nargs='+',
        choices=('svm', 'knn'),
        default=('svm', 'knn'),
        help='default: both')
    parser.add_argument(
        '--C', type=float, help='of the SVM; else by cross-validation')
    parser.add_argument(
        '--pairwise',
        action='store_true',
        help='SVM of each class against each other one, not against the rest')
    parser.add_argument(
        '--k', type=int, help='of k-NN; else by cross-validation')
    parser.add_argument(
        '--few-labels',
        nargs='+',
        type=int,
        default=(),
        metavar='N',
        help='also logistic regression on N labels of each class, 10 draws')
    parser.add_argument('--seed', type=int, default=0,
                        help='of random weights')
    args = parser.parse_args(argv)
    if not (args.data.endswith('.py') or args.label and args.split):
        parser.error('an npz file needs --label and --split')
    return args


def build(cfg: dict) -> tuple[nn.Module, nn.Module, str]:
    """A model with features, what a checkpoint fills of it, and its prefix.

    It is the student alone, so that no teacher's weights are asked for; all
    of it where the method has no student (ACT's stage I).
    """
    if 'backbone' not in cfg:
        model = MODELS.build(cfg)
        return model, model, ''
    model = BasePretrainer(
        cfg['backbone'], data_preprocessor=cfg.get('data_preprocessor'))
    return model, model.backbone, 'backbone.'


def half_of(args, half: str) -> dict:
    """Config of the data set of the ``'train'`` or the ``'test'`` half."""
    if args.data.endswith('.py'):
        dataset = Config.fromfile(args.data).test_dataloader.dataset
        if dataset.get('split') != 'test':
            raise ValueError(
                f"The test_dataloader of {args.data} has no split='test' in "
                f'its data set ({dataset.type}), so there is no training half '
                'to learn from. Use an npz file with --split, or a config '
                'such as configs/_base_/datasets/modelnet40.py.')
        return dict(dataset, split=half)
    classes = args.classes
    if classes == ['in_both_splits']:
        classes = 'in_both_splits'
    return dict(
        type='mmkd3d.NpzPoints',
        file=args.data,
        points=args.points,
        label=args.label,
        names=args.names,
        split=args.split,
        split_value=half == 'test',
        subset_of_classes=classes,
        pipeline=[
            dict(type='mmkd3d.LoadPoints'),
            dict(
                type='mmkd3d.SamplePoints',
                num_points=args.num_points,
                method='fps'),
            dict(type='mmkd3d.NormalizePoints'),
            dict(type='mmkd3d.PackPoints')
        ])


def main(argv=None):
    args = parse_args(argv)
    config = (
        Config.fromfile(args.config)
        if args.config.endswith('.py') else mmkd3d.get_config(args.config))
    init_default_scope('mmkd3d')
    set_random_seed(args.seed)
    model, student, prefix = build(config.model)
    model.to(get_device())
    if args.checkpoint != 'none':
        load_pretrained(student, args.checkpoint, prefix=prefix)
    halves = {
        half: extract_features(model, DATASETS.build(half_of(args, half)))
        for half in ('train', 'test')
    }
    labels = halves['test'][1]
    print(f'\n{len(labels)} test shapes, {len(set(labels))} classes')
    accuracy = {}
    if 'svm' in args.method:
        accuracy['svm'], C = linear_svm(
            *halves['train'], *halves['test'], C=args.C,
            pairwise=args.pairwise)
        print(f'linear SVM: {accuracy["svm"]:.2f} %, C={C:g}')
    if 'knn' in args.method:
        accuracy['knn'], k = knn_accuracy(
            *halves['train'], *halves['test'], k=args.k)
        print(f'k-NN (cosine): {accuracy["knn"]:.2f} %, k={k}')
    for shots in args.few_labels:
        mean, std = few_label_accuracy(
            *halves['train'], *halves['test'], shots)
        accuracy[f'{shots}-label'] = mean
        print(f'{shots} label(s) per class: {mean:.2f} % +- {std:.2f}')
    return accuracy


if __name__ == '__main__':
    main()
