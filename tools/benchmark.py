#!/usr/bin/env python
"""Measure how fast mmkd3d is on this machine. Runs from a checkout."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.methods import METHODS  # noqa: E402
from benchmarks.tables import format_bytes, format_seconds, markdown_table  # noqa: E402

# mmkd3d is imported within the functions: processes that measure another checkout
# load its package instead, and they import this file first.


def run_all(args: argparse.Namespace) -> None:
    """Everything below, in the minutes that are given."""
    from benchmarks.steps import NOTE

    budget = args.minutes * 60 / (len(METHODS) + 4)
    for name in METHODS:
        report_steps(name, args, budget)
    print(f'\n{NOTE}')
    report_usage(args, budget)
    if args.device == 'cpu':
        report_processes(args)


def run_steps(args: argparse.Namespace) -> None:
    from benchmarks.steps import NOTE

    for name in args.methods or METHODS:
        report_steps(name, args, args.seconds)
    print(f'\n{NOTE}')


def report_steps(name: str, args: argparse.Namespace, budget: float) -> None:
    from benchmarks import steps

    case = steps.Case(args.device, args.batch_size, args.threads, args.matmul_precision)
    found = steps.measure_steps(name, case, budget=budget, before=args.before)
    print(f'\n{METHODS[name].title}: training step, {describe(args)}.\n')
    print(markdown_table(*steps.step_table(name, found)), flush=True)


def run_usage(args: argparse.Namespace) -> None:
    report_usage(args, args.seconds)


def report_usage(args: argparse.Namespace, budget: float) -> None:
    from benchmarks import usage
    from benchmarks.interleave import ratio

    found = {'ShapeNet-55, samples': usage.measure_samples(budget=budget, before=args.before)}
    for name in ('votenet', 'three_detr'):
        title = f'{METHODS[name].title}, boxes of a scan'
        found[title] = usage.measure_inference(
            METHODS[name].config, budget=budget, before=args.before
        )
    for name in usage.COMMANDS:
        title = f'{name}, CPU time'
        found[title] = usage.measure_start(name, budget=budget / 4, before=args.before)
    rows = []
    for title, jobs in found.items():
        for name, job in jobs.items():
            if isinstance(job, str):
                rows.append([title, name, job, '', ''])
                continue
            samples = job.info.get('samples')
            rate = f'{samples / job.seconds:.4g}' if samples else ''
            ours = jobs['ours']
            times = '' if isinstance(ours, str) or name == 'ours' else str(ratio(job, ours))
            rows.append([title, name, format_seconds(job.seconds), rate, times])
    print(f'\nAround the step, {describe(args)}.\n')
    print(
        markdown_table(('what', 'who', 'time', 'samples/s', 'ours is faster by'), rows), flush=True
    )


def run_processes(args: argparse.Namespace) -> None:
    report_processes(args)


def report_processes(args: argparse.Namespace) -> None:
    from benchmarks import processes

    rows = processes.rows(processes.scaling(processes.point_mae()))
    print(f'\nPoint-MAE of published size, batch 8 in each process, {describe(args)} each.\n')
    print(markdown_table(processes.HEADER, rows), flush=True)


def run_ops(args: argparse.Namespace) -> None:
    import torch

    from benchmarks import ops

    torch.set_num_threads(args.threads)
    rows = []
    for row in ops.run(args.device, quick=args.quick):
        print(f'{row[0]}, {row[1]}: done', flush=True)
        rows.append(row)
    print(
        f'\nOperators, {describe(args)}. Best time of several; peak memory of one call on top '
        'of its input.\n'
    )
    print(markdown_table(ops.HEADER, rows))


def run_memory(args: argparse.Namespace) -> None:
    from benchmarks import memory
    from mmkd3d import get_model

    model = get_model(args.config).train().to(args.device)
    rows, total, peak = memory.run(
        model, num_points=args.points, batch_size=args.batch_size, device=args.device
    )
    print(
        f'{args.config}: memory that a training step saves for its backward pass, '
        f'bf16 autocast, {describe(args)}.\n'
    )
    header = [name.format(args.batch_size) for name in memory.HEADER]
    print(markdown_table(header, rows))
    found = 'not measured, this is no GPU' if peak is None else (format_bytes(peak))
    print(
        f'\nA batch of {args.batch_size} needs {total / 2**30:.1f} GiB and '
        f'what one operation works with. Peak of a step: {found}.'
    )


def describe(args: argparse.Namespace) -> str:
    import torch

    where = f'{processor()}, {args.threads} thread{"s" * (args.threads > 1)}'
    if args.device.startswith('cuda'):
        where = torch.cuda.get_device_name(args.device)
        where += f', float32 products in "{args.matmul_precision}" precision'
    return f'torch {torch.__version__}, {where}'


def processor() -> str:
    """Vector units of the CPU, and whether it has others for bf16."""
    import torch

    units = [torch.backends.cpu.get_cpu_capability()]
    units += [
        name
        for name, known in (
            ('AVX512_BF16', torch.cpu._is_avx512_bf16_supported),
            ('AMX', torch.cpu._is_amx_tile_supported),
        )
        if known()
    ]
    return f'CPU with {", ".join(units)}'


def add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--device', default='cpu', help="'cpu' (default), 'cuda', ...")
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default 1)')


def add_pair(parser: argparse.ArgumentParser) -> None:
    add_common(parser)
    parser.add_argument('--batch-size', type=int, help='default: published on a GPU, few on a CPU')
    parser.add_argument(
        '--before',
        metavar='CHECKOUT',
        help='measure the mmkd3d of another checkout beside this one',
    )
    parser.add_argument(
        '--matmul-precision',
        choices=['highest', 'high'],
        default='high',
        help='precision of float32 on a GPU: "high" (default) allows TF32, as the '
        'published code did; "highest" does not',
    )


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='examples:\n'
        '  python tools/benchmark.py all --minutes 10\n'
        '  python tools/benchmark.py all --device cuda\n'
        '  python tools/benchmark.py steps act recon --before ../older-checkout\n'
        '  python tools/benchmark.py usage\n'
        '  python tools/benchmark.py ops\n'
        '  python tools/benchmark.py memory 3detr_1xb8-1080e_scannet-3d',
    )
    commands = parser.add_subparsers(required=True)
    everything = commands.add_parser('all', help='steps, usage and processes')
    everything.add_argument('--minutes', type=float, default=10, help='measured time; default 10')
    add_pair(everything)
    everything.set_defaults(run=run_all)
    steps = commands.add_parser(
        'steps', help='training steps, part by part, compared with what the published code does'
    )
    steps.add_argument(
        'methods', nargs='*', metavar='METHOD', help=f'of {", ".join(METHODS)}; default: all'
    )
    steps.add_argument(
        '--seconds', type=float, default=40, help='measured time of each; default 40'
    )
    add_pair(steps)
    steps.set_defaults(run=run_steps)
    usage = commands.add_parser('usage', help='samples of a data set, boxes of a scan, start-up')
    usage.add_argument(
        '--seconds', type=float, default=10, help='measured time of each; default 10'
    )
    add_pair(usage)
    usage.set_defaults(run=run_usage)
    processes = commands.add_parser('processes', help='two processes against one')
    add_common(processes)
    processes.set_defaults(run=run_processes)
    ops = commands.add_parser('ops', help='operators against their naive form and compiled mmcv')
    add_common(ops)
    ops.add_argument('--quick', action='store_true', help='tiny inputs, one run each')
    ops.set_defaults(run=run_ops)
    memory = commands.add_parser(
        'memory', help='memory that a training step of a detector saves for its backward pass'
    )
    memory.add_argument('config', help='name of a shipped config')
    memory.add_argument('--batch-size', type=int, default=8, help='rooms; default 8')
    memory.add_argument('--points', type=int, default=40000, help='points per room; default 40000')
    add_common(memory)
    memory.set_defaults(run=run_memory)
    args = parser.parse_args(argv)
    unknown = sorted({*getattr(args, 'methods', ())} - {*METHODS})
    if unknown:
        parser.error(f'unknown method {", ".join(unknown)}; there are {", ".join(METHODS)}')
    args.run(args)


if __name__ == '__main__':
    main()
