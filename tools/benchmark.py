#!/usr/bin/env python
"""Measure how fast mmkd3d is on this machine. Runs from a checkout."""

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import i2p_mae, memory, ops, recon, step  # noqa: E402
from benchmarks.act import ACTStage  # noqa: E402
from benchmarks.i2p_mae import I2PMAEStep  # noqa: E402
from benchmarks.measure import format_bytes, markdown_table  # noqa: E402
from benchmarks.recon import ReConStep  # noqa: E402
from mmkd3d import get_model  # noqa: E402

METHODS = dict(
    act=lambda args: ACTStage(args.stage),
    i2p_mae=lambda args: I2PMAEStep(),
    recon=lambda args: ReConStep(),
)


def run_ops(args: argparse.Namespace) -> None:
    rows = []
    for row in ops.run(args.device, quick=args.quick):
        print(f'{row[0]}, {row[1]}: done', flush=True)
        rows.append(row)
    print(
        f'\nOperators, {describe(args.device)}. Best time of several; peak '
        'memory of one call on top of its input.\n'
    )
    print(markdown_table(ops.HEADER, rows))


def run_pretrain(args: argparse.Namespace) -> None:
    method = METHODS[args.method](args)
    batch_size = args.batch_size or method.default_batch_size(args.device)
    case = step.Case(
        batch_size, args.device, args.quick, torch.get_num_threads(), args.matmul_precision
    )
    found = {}
    for name, result in step.run(method, case):
        print(f'{name}: done', flush=True)
        found[name] = result
    where = describe(args.device)
    if args.device.startswith('cuda'):
        where += f', float32 products in "{args.matmul_precision}" precision'
    print(f'\n{method.title}: training step, batch {batch_size}, {where}.\n')
    print(markdown_table(*step.table(method, found, case)))
    print(f'\n{method.note}\n{step.NOTE}')


def run_contrast(args: argparse.Namespace) -> None:
    rows = recon.contrast_rows(args.batch_size, args.device, args.quick)
    print(
        f'Contrast of categories, batch {args.batch_size}, '
        f'{describe(args.device)}. Best time of several.\n'
    )
    print(markdown_table(recon.CONTRAST_HEADER, rows))


def run_targets(args: argparse.Namespace) -> None:
    case = step.Case(args.batch_size, args.device, args.quick, torch.get_num_threads(), 'highest')
    rows = i2p_mae.target_rows(case)
    print(
        f'Targets of I2P-MAE, batch {args.batch_size}, '
        f'{describe(args.device)}. Best time of several; peak memory on top '
        'of the maps.\n'
    )
    print(markdown_table(i2p_mae.TARGET_HEADER, rows))


def run_memory(args: argparse.Namespace) -> None:
    model = get_model(args.config).train().to(args.device)
    rows, total, peak = memory.run(
        model,
        num_points=2048 if args.quick else args.points,
        batch_size=args.batch_size,
        device=args.device,
    )
    print(
        f'{args.config}: memory that a training step saves for its backward pass, '
        f'bf16 autocast, {describe(args.device)}.\n'
    )
    header = [name.format(args.batch_size) for name in memory.HEADER]
    print(markdown_table(header, rows))
    found = 'not measured, this is no GPU' if peak is None else (format_bytes(peak))
    print(
        f'\nA batch of {args.batch_size} needs {total / 2**30:.1f} GiB and '
        f'what one operation works with. Peak of a step: {found}.'
    )


def describe(device: str) -> str:
    where = f'{device}, {torch.get_num_threads()} CPU threads'
    if device.startswith('cuda'):
        where = torch.cuda.get_device_name(device)
    return f'torch {torch.__version__}, {where}'


def add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--threads', type=int, help="CPU threads; default: torch's choice")
    parser.add_argument(
        '--quick',
        action='store_true',
        help='tiny inputs, one run each: shows that everything works, not how fast',
    )


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='examples:\n'
        '  python tools/benchmark.py ops --device cpu\n'
        '  python tools/benchmark.py pretrain act --stage 2 --threads 2\n'
        '  python tools/benchmark.py pretrain recon --batch-size 8\n'
        '  python tools/benchmark.py pretrain i2p_mae --threads 2\n'
        '  python tools/benchmark.py contrast --batch-size 128\n'
        '  python tools/benchmark.py targets --batch-size 8\n'
        '  python tools/benchmark.py memory 3detr_1xb8-1080e_scannet-3d',
    )
    commands = parser.add_subparsers(required=True)
    ops = commands.add_parser('ops', help='operators against their naive form and compiled mmcv')
    add_common(ops)
    ops.set_defaults(run=run_ops)
    pretrain = commands.add_parser(
        'pretrain',
        help='the training step of a method, part by part, against what its published code does',
    )
    pretrain.add_argument('method', choices=[*METHODS])
    pretrain.add_argument(
        '--stage',
        type=int,
        choices=[1, 2],
        default=2,
        help='stage of act. 1: the teacher autoencoder; 2: the student (default)',
    )
    pretrain.add_argument(
        '--batch-size',
        type=int,
        help='clouds; default: as published (128; stage 1 of act and i2p_mae: '
        '64) on a GPU, 8 on the CPU',
    )
    pretrain.add_argument(
        '--matmul-precision',
        choices=['highest', 'high'],
        default='high',
        help='precision of float32 on a GPU: "high" (default) allows TF32, as the '
        'published code did; "highest" does not',
    )
    add_common(pretrain)
    pretrain.set_defaults(run=run_pretrain)
    contrast = commands.add_parser(
        'contrast', help="ReCon's contrastive loss compared with a double loop"
    )
    contrast.add_argument('--batch-size', type=int, default=128, help='shapes; default 128')
    add_common(contrast)
    contrast.set_defaults(run=run_contrast)
    targets = commands.add_parser(
        'targets', help="I2P-MAE's point features compared with resized feature maps"
    )
    targets.add_argument('--batch-size', type=int, default=8, help='shapes; default 8')
    add_common(targets)
    targets.set_defaults(run=run_targets)
    memory_of = commands.add_parser(
        'memory', help='memory that a training step of a detector saves for its backward pass'
    )
    memory_of.add_argument('config', help='name of a shipped config')
    memory_of.add_argument('--batch-size', type=int, default=8, help='rooms; default 8')
    memory_of.add_argument(
        '--points', type=int, default=40000, help='points per room; default 40000'
    )
    add_common(memory_of)
    memory_of.set_defaults(run=run_memory)
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    args.run(args)


if __name__ == '__main__':
    main()
