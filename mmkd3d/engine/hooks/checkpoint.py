"""Checkpoints that a kill in the middle of a write does not damage."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmkd3d.checkpoints import read_checkpoint, spec_of_config
from mmkd3d.registry import HOOKS
from mmkd3d.utils.atomic import write_atomic


class AtomicBackend(LocalBackend):
    """Local files that appear under their name only when they are whole."""

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        write_atomic(filepath, obj)


register_backend('mmkd3d.atomic', AtomicBackend, force=True)


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """mmengine's hook, writing through :class:`AtomicBackend`.

    At least two checkpoints are kept: the older one is removed before the
    newer one is written. Each says in ``meta['input_spec']`` what points the
    model was trained on, see :func:`~mmkd3d.checkpoints.spec_of_config`.
    """

    def __init__(self, *args, max_keep_ckpts: int = 3, **kwargs):
        if max_keep_ckpts == 1:
            raise ValueError(
                'max_keep_ckpts=1 leaves no checkpoint while the next one is '
                'written: use 2 or more, or -1 to keep all.'
            )
        kwargs.setdefault('backend_args', dict(backend='mmkd3d.atomic'))
        super().__init__(*args, max_keep_ckpts=max_keep_ckpts, **kwargs)

    def before_train(self, runner: Runner) -> None:
        """Also refuse a config whose ``input_spec`` can not be right."""
        spec_of_config(runner.cfg)
        super().before_train(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the input spec, as plain data."""
        checkpoint['meta']['input_spec'] = spec_of_config(runner.cfg)._asdict()


def find_resumable(work_dir: str | Path) -> str | None:
    """The newest checkpoint in ``work_dir`` that can be read, or None.

    Unlike mmengine's ``last_checkpoint`` this survives a file that was cut
    off, also one that another hook wrote.
    """
    files = [
        path for path in Path(work_dir).glob('*.pth') if path.name.startswith(('epoch_', 'iter_'))
    ]
    for path in sorted(files, key=lambda p: p.stat().st_mtime, reverse=True):
        try:
            read_checkpoint(path)
        except ValueError as error:
            print_log(f'Not resuming from {error}', logger='current')
        else:
            return str(path)
    return None
