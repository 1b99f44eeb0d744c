"""Start from a checkpoint without some of its weights."""

from collections.abc import Mapping
from fnmatch import fnmatch

from mmengine.hooks import Hook
from mmengine.logging import print_log

from mmkd3d.registry import HOOKS
from mmkd3d.utils.distributed import unwrap_model


@HOOKS.register_module()
class LeaveOutHook(Hook):
    """Leave weights of ``load_from`` out: those stay as they were initialised.

    For a detector that was pretrained on pseudo classes, for example. The scores of its
    classes mean nothing for the real ones, everything else is kept:
    ``rows={'*.conv_cls.*': 2}`` for VoteNet, whose first two rows score objectness. A resumed
    run gets all weights.

    Args:
        rows: Pattern of keys -> the first row to leave out; 0 for the whole tensor.

    Raises:
        ValueError: A row below 0, or a pattern that fits no key of the checkpoint.
    """

    def __init__(self, rows: Mapping[str, int]):
        if not rows or min(rows.values()) < 0:
            raise ValueError(
                f'rows is a dict of patterns of keys and rows from 0 on, got {dict(rows)}.'
            )
        self.rows = dict(rows)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        if runner._resume:
            return
        state, own = checkpoint['state_dict'], unwrap_model(runner.model).state_dict()
        for pattern, row in self.rows.items():
            keys = [key for key in state if fnmatch(key, pattern) and key in own]
            if not keys:
                raise ValueError(
                    f'No key of {runner._load_from} fits {pattern!r}. The keys are '
                    f'{", ".join(list(state)[:5])}, ...'
                )
            for key in keys:
                # of another number of classes: only the rows before are the same
                value = own[key].clone()
                value[:row] = state[key][:row]
                state[key] = value
            print_log(f'Left out {", ".join(keys)} from row {row} on.', 'current')
