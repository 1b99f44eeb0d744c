"""Checkpoints that survive an interrupted write."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmkd3d.checkpoints import read_checkpoint, spec_of_config
from mmkd3d.registry import HOOKS
from mmkd3d.utils.atomic import write_atomic


class AtomicBackend(LocalBackend):
    """Local files that are renamed into place after they are completely written."""

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        write_atomic(filepath, obj)


register_backend('mmkd3d.atomic', AtomicBackend, force=True)


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """mmengine's ``CheckpointHook`` with atomic writes and an input spec.

    Checkpoints describe the points that the model was trained on in
    ``meta['input_spec']``, see :func:`~mmkd3d.checkpoints.spec_of_config`.

    Raises:
        ValueError: ``max_keep_ckpts`` is 1: mmengine removes the older
            checkpoint before it writes the newer one.
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
        """Check the ``input_spec`` of the config, then do what mmengine does."""
        spec_of_config(runner.cfg)
        super().before_train(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the input spec as a plain dict."""
        checkpoint['meta']['input_spec'] = spec_of_config(runner.cfg)._asdict()


def find_resumable(work_dir: str | Path) -> str | None:
    """Return the newest readable checkpoint in ``work_dir``, or None.

    Unlike mmengine's ``find_latest_checkpoint``, truncated files are skipped.
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
