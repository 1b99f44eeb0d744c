"""The command line that mm tools share.

Functions import torch and mmengine themselves, so that ``--help`` and mistakes in
arguments need neither.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmkd3d.apis.config_files import config_path
from mmkd3d.utils.atomic import write_atomic

if TYPE_CHECKING:
    from mmengine.config import Config


def config_file(name: str) -> Path:
    """Type of an argument that names a config, see :func:`config_path`."""
    try:
        return config_path(name)
    except FileNotFoundError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def key_value(text: str) -> str:
    """Type of the words of ``--cfg-options``."""
    if '=' not in text:
        raise argparse.ArgumentTypeError(f'expected key=value, got {text!r}')
    return text


def add_options(
    parser: argparse.ArgumentParser,
    name: str = '--cfg-options',
    help: str = 'settings to override, as key=value with dots inside key',
) -> None:
    """Option that takes words KEY=VALUE, see :func:`read_options`; may be given again."""
    parser.add_argument(
        name, nargs='+', action='extend', default=[], type=key_value, metavar='KEY=VALUE', help=help
    )


def read_options(words: Sequence[str]) -> dict:
    """The values of words KEY=VALUE: dicts and lists of dicts in JSON, others as mmengine reads them.

    mmengine's ``DictAction`` reads no dicts: ``KEY=[{"type":"EMAHook"}]`` is a list of texts to it.
    """
    from mmengine.config import DictAction

    structures, others = {}, []
    for word in words:
        key, _, value = word.partition('=')
        with_dicts = value.lstrip('[ ').startswith('{')
        try:
            structures[key] = json.loads(value if with_dicts else '')
        except ValueError:
            others.append(word)
    parser = argparse.ArgumentParser()
    parser.add_argument('options', nargs='*', action=DictAction)
    return (parser.parse_args(['--', *others]).options or {}) | structures


def common_parser(description: str, example: str) -> argparse.ArgumentParser:
    """Parser with the options of both ``train.py`` and ``test.py``."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f'example: {example}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', type=config_file, help='name of a shipped config, or a file')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    add_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run are started',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser


def add_trust_option(parser: argparse.ArgumentParser) -> None:
    """Option of the tools that read checkpoints of others."""
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='unpickle the whole file and build what its config names; both can run any code',
    )


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Options of the tools that read many files."""
    parser.add_argument(
        '--drop-nan', action='store_true', help='drop points with a NaN or infinite value'
    )
    parser.add_argument(
        '--skip-bad',
        action='store_true',
        help='leave out clouds that cannot be used, list them at the end, and exit with code 3',
    )


def report_bad(bad: Sequence[str], path: Path) -> None:
    """List clouds that were left out on stderr and in a file; exit with code 3 if there are any.

    Args:
        bad: What is wrong, one error for each.
        path: The file; an older one is removed if there are none.
    """
    if not bad:
        path.unlink(missing_ok=True)
        return
    lines = [' '.join(error.split()) for error in bad]
    write_atomic(path, '\n'.join([*lines, '']).encode())
    print(f'{len(bad)} left out, listed in {path}:', *lines, sep='\n', file=sys.stderr)
    raise SystemExit(3)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config, apply the options of the command line, and check it.

    Raises:
        SystemExit: The config has a mistake, see :func:`check_config`.
    """
    import torch

    from mmkd3d.apis.config_check import check_config
    from mmkd3d.apis.load import get_config

    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = get_config(args.config)
    if 'model' not in cfg:
        raise ValueError(f'{args.config} has no model: give the config of a training.')
    cfg.launcher = args.launcher
    cfg.merge_from_dict(read_options(args.cfg_options))
    if args.work_dir:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / args.config.stem)
    try:
        check_config(cfg)
    except ValueError as error:
        raise SystemExit(f'{args.config}: {error}') from None
    if not torch.cuda.is_available():
        if args.launcher == 'pytorch':
            use_cpu_processes(cfg)
        from mmengine.utils import digit_version

        if digit_version(torch.__version__) < digit_version('2.4'):  # has it for GPUs only
            (cfg.get('optim_wrapper') or {}).get('optimizer', {}).pop('fused', None)
    return cfg


def use_cpu_processes(cfg: Config) -> None:
    """Let several processes train on CPU, where mmengine would ask CUDA."""
    import torch

    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        gradient_as_bucket_view=True,  # no copies of the gradients before and after their sum
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )


def leave_processes() -> None:
    """End what holds the processes of a distributed run together.

    While Python itself ends, a thread of gloo that frees a tensor of the last
    collective aborts it (before Python 3.14). The threads end with the group,
    which a runner and its model keep alive: drop them first.
    """
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.barrier()  # nobody leaves while another is at work
        gc.unfreeze()  # the group was made before imports_uncollected froze all objects
        gc.collect()  # a runner is part of cycles
        torch.distributed.destroy_process_group()


def enable_amp(cfg: Config) -> None:
    """Switch the optimizer wrapper to automatic mixed precision.

    bf16 on CPUs and on GPUs that have it. Older GPUs use fp16 with a scaled loss.
    """
    import torch
    from mmengine.device import get_device

    from mmkd3d.utils.precision import has_bf16

    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper', 'mmkd3d.Bf16OptimWrapper'):
        raise SystemExit(f'--amp needs optim_wrapper.type=OptimWrapper, got {kind}.')
    device = torch.device(get_device())
    if device.type == 'cuda' and (kind == 'AmpOptimWrapper' or not has_bf16(device)):
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
        return
    if not has_bf16(device):
        text = '--amp: this CPU has no bf16 instructions, training gets slower.'
        warnings.warn(text, stacklevel=2)
    cfg.optim_wrapper.type = 'mmkd3d.Bf16OptimWrapper'
    for name in ('loss_scale', 'dtype', 'use_fsdp'):  # of AmpOptimWrapper
        cfg.optim_wrapper.pop(name, None)


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate with the total batch size."""
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise SystemExit(
            '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in '
            'the config: the total batch size that its learning rate is for.'
        )
    cfg.auto_scale_lr.enable = True


def complete_hooks(cfg: Config) -> None:
    """Add the hooks that every training needs, where a config lacks them.

    Configs of mmdetection3d get our :class:`CheckpointHook`, which takes the
    arguments of mmengine's.
    """
    hooks = cfg.setdefault('default_hooks', {})
    checkpoint = hooks.setdefault('checkpoint', dict(type='CheckpointHook', interval=1))
    stock = cfg.get('default_scope') != 'mmkd3d' and checkpoint is not None
    if stock and checkpoint.get('type') in ('CheckpointHook', 'mmengine.CheckpointHook'):
        keep = checkpoint.get('max_keep_ckpts', -1)
        checkpoint.update(type='mmkd3d.CheckpointHook', max_keep_ckpts=2 if keep == 1 else keep)
    custom = [*(cfg.get('custom_hooks') or [])]
    known = {str(hook.get('type')) for hook in (*hooks.values(), *custom) if hook is not None}
    for name in ('mmkd3d.CheckLoadersHook', 'mmkd3d.FiniteLossHook'):
        if not known & {name, name.removeprefix('mmkd3d.')}:
            custom.append(dict(type=name))
    cfg.custom_hooks = custom


def set_resume(cfg: Config, resume: str | None) -> None:
    """Resume from a file, or with ``'auto'`` from the latest good one.

    ``resume=True`` in the config means ``'auto'``, too, unless ``load_from``
    names a file. Where there is nothing to resume from, training starts from
    ``load_from``.

    Raises:
        ValueError: There is no such file, or it is damaged, or no checkpoint
            of a training. The message names the option.
    """
    from mmkd3d.checkpoints.files import check_sums, read_checkpoint
    from mmkd3d.engine.resume import find_resumable, training_meta

    option = 'load_from' if resume in (None, 'auto') else '--resume'
    if resume is None and cfg.get('resume'):
        resume = cfg.get('load_from') or 'auto'
    auto = resume == 'auto'
    if auto:
        resume = find_resumable(cfg.work_dir)  # checked
    start = resume or cfg.get('load_from')
    if start and not (auto and resume) and '://' not in str(start):
        try:
            if not Path(start).is_file():
                raise FileNotFoundError(f'No checkpoint at {start}.')
            if resume is None:
                read_checkpoint(start)
            else:
                check_sums(start)
                training_meta(Path(start))
        except (OSError, ValueError) as error:
            raise ValueError(f'{option}: {error}') from error
    cfg.load_from, cfg.resume = start, resume is not None
