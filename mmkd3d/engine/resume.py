"""Find the checkpoint to resume from, and go on within an epoch."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmkd3d.checkpoints.files import check_sums, reason_of


def find_resumable(work_dir: str | Path) -> str | None:
    """Return the checkpoint in ``work_dir`` with the most iterations, or None.

    Unlike mmengine's ``find_latest_checkpoint``, files that are damaged or
    hold no state of a training are skipped.
    """
    for path, _ in checkpoints_of(work_dir, 'epoch_', 'iter_', 'stop_'):
        return str(path)
    return None


def final_checkpoint(work_dir: str | Path, cfg: Config) -> Path:
    """Return the last checkpoint of a finished training.

    ``last_checkpoint``, which mmengine writes, is not read: it may be empty
    or out of date after a kill.

    Args:
        work_dir: Of the training.
        cfg: Of the training, with the options of the command line.

    Raises:
        ValueError: There is none.
    """
    found, loop = [], cfg.train_cfg
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    early = any(str((hook or {}).get('type')).endswith('EarlyStoppingHook') for hook in hooks)
    for path, meta in checkpoints_of(work_dir, 'epoch_', 'iter_'):
        iterations = loop.get('max_iters') or loop.max_epochs * meta.get('epoch_length', 0)
        by_epoch = 'max_epochs' in loop and meta['epoch'] == loop.max_epochs
        if early or by_epoch or meta['iter'] == iterations:
            return path
        found.append(path.name)
    length = {k: loop[k] for k in ('max_epochs', 'max_iters') if k in loop}
    raise ValueError(
        f'No good checkpoint of the end of the training ({length}) in {work_dir}, only '
        f'{", ".join(found[:3]) or "none"}. Continue the training with --resume.'
    )


def checkpoints_of(work_dir: str | Path, *prefixes: str) -> Iterator[tuple[Path, dict]]:
    """The good checkpoints of a training and their ``meta``, the latest first.

    Args:
        work_dir: Folder of the checkpoints.
        *prefixes: Of their names.
    """
    found = []
    for path in Path(work_dir).glob('*.pth'):
        if path.name.startswith(prefixes):
            try:
                found.append((path, training_meta(path)))
            except ValueError as error:
                print_log(f'Not used: {error}', logger='current', level=logging.WARNING)
    found.sort(key=lambda pair: (pair[1]['iter'], pair[1]['epoch'], pair[0].name), reverse=True)
    for path, meta in found:
        try:
            check_sums(path)
        except ValueError as error:
            print_log(f'Not used: {error}', logger='current', level=logging.WARNING)
        else:
            yield path, meta


def training_meta(path: Path) -> dict:
    """Read ``meta`` of a training checkpoint, without reading its tensors.

    Raises:
        ValueError: The file is damaged, or no checkpoint of a training.
    """
    try:
        content = torch.load(path, map_location='cpu', weights_only=True, mmap=True)
    except Exception as error:  # damaged bytes raise errors of many types
        raise ValueError(f'{path} {reason_of(path, error)}') from error
    meta = content.get('meta') if isinstance(content, dict) else None
    known = meta if isinstance(meta, dict) else {}
    if not all(isinstance(known.get(key), int) for key in ('iter', 'epoch')):
        raise ValueError(f"{path} has no meta['iter'] and meta['epoch']: no training wrote it.")
    for key, least in (('iter', 0), ('epoch', 0), ('epoch_length', 1)):
        value = known.get(key, least)
        if not isinstance(value, int) or value < least:
            raise ValueError(
                f"{path} has meta['{key}']={value!r}, expected a whole number of {least} or more: "
                'no training wrote it.'
            )
    if not isinstance(content.get('message_hub'), dict):
        raise ValueError(f"{path} has no dict under 'message_hub': no training wrote it.")
    return known


def skip_batches(loop: EpochBasedTrainLoop, number: int, then: Callable[[], object]) -> None:
    """Let the loop drop the next batches instead of training on them.

    They are loaded, so that sampler and data loader workers draw the same
    random numbers as without the interruption.

    Args:
        loop: Before an epoch.
        number: Of batches, at most those of an epoch.
        then: Called after the last one is dropped.
    """
    left = iter(range(number - 1, -1, -1))

    def drop(idx: int, data_batch: dict) -> None:
        if next(left) == 0:
            del loop.run_iter
            then()

    loop.run_iter = drop


def validation_due(runner: Runner) -> bool:
    """Whether the loop would have validated after its last epoch or iteration."""
    loop = runner.train_loop
    if runner.val_loop is None:
        return False
    if isinstance(loop, EpochBasedTrainLoop):
        done, end = loop.epoch, loop.max_epochs
    else:
        done, end = loop.iter, loop.max_iters
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == end)
