#!/usr/bin/env python
"""Measure how fast mmkd3d is on this machine."""
import argparse

import torch

from mmkd3d.utils import benchmark_ops
from mmkd3d.utils.benchmark import markdown_table


def run_ops(args: argparse.Namespace) -> None:
    rows = []
    for row in benchmark_ops.run(args.device, quick=args.quick):
        print(f'{row[0]}, {row[1]}: done', flush=True)
        rows.append(row)
    where = f'{args.device}, {torch.get_num_threads()} CPU threads'
    if args.device.startswith('cuda'):
        where = torch.cuda.get_device_name(args.device)
    print(f'\nOperators, torch {torch.__version__}, {where}. Best time of '
          'several; peak memory of one call on top of its input.\n')
    print(markdown_table(benchmark_ops.HEADER, rows))


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/benchmark.py ops --device cpu')
    commands = parser.add_subparsers(required=True)
    ops = commands.add_parser(
        'ops', help='operators against their naive form and compiled mmcv')
    ops.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    ops.add_argument(
        '--quick',
        action='store_true',
        help='tiny inputs, one run each: shows that everything works, not '
        'how fast')
    ops.set_defaults(run=run_ops)
    args = parser.parse_args(argv)
    args.run(args)


if __name__ == '__main__':
    main()
