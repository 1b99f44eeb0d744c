"""Checkpoints that survive an interrupted write and resume exactly."""

import logging
import re
from pathlib import Path

import torch
from mmengine.dist import all_gather_object, is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook as _CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmkd3d.checkpoints import spec_of_config
from mmkd3d.checkpoints.loading import check_weights, compare, expected_state, our_state, starts
from mmkd3d.engine.resume import find_resumable, skip_batches, validation_due
from mmkd3d.registry import HOOKS
from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.distributed import unwrap_model
from mmkd3d.utils.rng import rng_state, set_rng_state

__all__ = ['AtomicBackend', 'CheckpointHook', 'NonFiniteWeightsError', 'find_resumable']


class NonFiniteWeightsError(RuntimeError):
    """Weights are NaN or infinite."""


class AtomicBackend(LocalBackend):
    """Local files that are renamed into place after they are completely written."""

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        write_atomic(filepath, obj)


register_backend('mmkd3d.atomic', AtomicBackend, force=True)


@HOOKS.register_module()
class CheckpointHook(_CheckpointHook):
    """mmengine's ``CheckpointHook`` with atomic writes, an input spec and exact resume.

    Checkpoints describe the points that the model was trained on in
    ``meta['input_spec']``, see :func:`~mmkd3d.checkpoints.spec_of_config`.

    A run that resumes within an epoch skips the batches that were trained on
    already, and a validation that was interrupted is repeated. Both are exact
    if the data loader has ``persistent_workers=False``.

    Raises:
        ValueError: ``max_keep_ckpts`` is 1: mmengine removes the older
            checkpoint before it writes the newer one.
        NonFiniteWeightsError: A weight is NaN or infinite. Nothing is
            written.
        ValueError: No weight of ``load_from`` fits the model, not all of a
            checkpoint to resume from do, or one is such as no training writes.
    """

    def __init__(self, *args, max_keep_ckpts: int = 3, **kwargs):
        if max_keep_ckpts == 1:
            raise ValueError(
                'max_keep_ckpts=1 leaves no checkpoint while the next one is '
                'written: use 2 or more, or -1 to keep all.'
            )
        kwargs.setdefault('backend_args', dict(backend='mmkd3d.atomic'))
        super().__init__(*args, max_keep_ckpts=max_keep_ckpts, **kwargs)
        self._loaded: dict | None = None
        self._rng_states: list | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse weights that do not fit; keep what :meth:`before_train` needs.

        mmengine leaves weights that do not fit at their random values.
        """
        name = runner._load_from or 'The checkpoint'
        state, _ = our_state(checkpoint, name)
        own = expected_state(unwrap_model(runner.model), state)
        report, fitting = compare(own, state, [])
        if runner._resume and (len(fitting) < len(own) or 'optimizer' not in checkpoint):
            raise ValueError(
                f'{name} does not hold the state of a training of this model:\n{report}\nWithout '
                '--resume, load_from starts from the weights that fit.'
            )
        if not fitting:
            raise ValueError(
                f'{name} has no weight that fits the model, its keys start with {starts(state)}. '
                "A student alone is given to model.backbone.init_cfg=dict(type='Pretrained', "
                'checkpoint=...).'
            )
        check_weights(fitting, own, name)
        if len(fitting) < len(own):
            print_log(f'{name} fits in part:\n{report}', 'current', logging.WARNING)
        checkpoint['state_dict'] = state  # without the prefixes of wrappers
        self._loaded = dict(checkpoint.get('meta') or {}, rng=checkpoint.get('rng_states'))

    def before_train(self, runner: Runner) -> None:
        """Check the ``input_spec``, and go on where a resumed run was interrupted."""
        spec_of_config(runner.cfg)
        super().before_train(runner)
        loaded, self._loaded = self._loaded, None
        if loaded is None or runner.iter == 0:  # a start from weights
            return
        skipped = self._skip_seen(runner, loaded)
        here = Path(str(runner._load_from)).parent == Path(str(self.out_dir))
        missing = here and self._validated() != runner.iter
        if missing and not skipped and validation_due(runner):
            runner.logger.info('The validation after this checkpoint is missing: it is done now.')
            runner.val_loop.run()

    def _skip_seen(self, runner: Runner, loaded: dict) -> int:
        """Let the first epoch skip the batches that were seen; returns their number."""
        loop = runner.train_loop
        if not isinstance(loop, EpochBasedTrainLoop):
            return 0  # mmengine's loop by iteration does so
        length = len(loop.dataloader)
        seen = loop.iter - loop.epoch * loaded.get('epoch_length', length)
        states = loaded['rng']
        if seen <= 0:
            return 0
        if loaded.get('epoch_length', length) != length:
            print_log(
                f'The checkpoint was saved in an epoch of {loaded["epoch_length"]} iterations, '
                f'now there are {length}: the epoch starts again.',
                logger='current',
                level=logging.WARNING,
            )
            return 0
        runner.logger.info(f'Skipping {seen} batches of the epoch, already trained on.')
        same = states and len(states) == runner.world_size
        skip_batches(loop, seen, lambda: same and set_rng_state(states[runner.rank]))
        return seen

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Note that the validation is finished, after what mmengine does."""
        super().after_val_epoch(runner, metrics)
        if self.out_dir is not None and is_main_process():  # in a training
            write_atomic(Path(self.out_dir, '.validated'), str(runner.iter).encode())

    def _validated(self) -> int | None:
        """Iteration of the last validation in this folder."""
        try:
            return int(Path(str(self.out_dir), '.validated').read_text())
        except (OSError, ValueError):
            return None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse weights that are not finite; add what the hook and readers need."""
        _check_finite(runner, checkpoint)
        loop, meta = runner.train_loop, checkpoint['meta']
        meta['input_spec'] = spec_of_config(runner.cfg)._asdict()
        meta['epoch_length'], meta['max_iters'] = len(loop.dataloader), loop.max_iters
        if self._rng_states:
            checkpoint['rng_states'] = self._rng_states

    def _save_checkpoint(self, runner: Runner) -> None:
        if not self.by_epoch:  # within an epoch
            self._rng_states = gather_rng_states()
        super()._save_checkpoint(runner)
        self._rng_states = None
        if is_main_process():
            self._remove_stops(runner.iter)

    def save_stop(self, runner: Runner, epoch: int, iteration: int) -> Path:
        """Save ``stop_ITERATION.pth``, from which a run resumes exactly.

        The next regular checkpoint replaces the file.

        Args:
            runner: Of the training.
            epoch: Number of completed epochs.
            iteration: Number of completed iterations.
        """
        name = f'stop_{iteration}.pth'
        self._rng_states = gather_rng_states()
        runner.save_checkpoint(
            self.out_dir,
            name,
            meta=dict(epoch=epoch, iter=iteration),
            by_epoch=False,
            backend_args=self.backend_args,
        )
        path = Path(str(self.out_dir), name)
        if is_main_process():
            write_atomic(Path(runner.work_dir, 'last_checkpoint'), str(path).encode())
            self._remove_stops(iteration - 1)
        return path

    def _remove_stops(self, until: int) -> None:
        """Remove the files of :meth:`save_stop` up to an iteration."""
        for path in Path(str(self.out_dir)).glob('stop_*.pth'):
            number = re.fullmatch(r'stop_(\d+)\.pth', path.name)
            if number and int(number[1]) <= until:
                path.unlink()


def gather_rng_states() -> list[dict]:
    """States of the random number generators of all processes."""
    return all_gather_object(rng_state())


def _check_finite(runner: Runner, checkpoint: dict) -> None:
    """Raise :class:`NonFiniteWeightsError` for NaN, and for infinite parameters."""
    parameters = {name for name, _ in unwrap_model(runner.model).named_parameters()}
    wrong = [
        name
        for name, value in checkpoint['state_dict'].items()
        if torch.is_tensor(value)
        and (~value.isfinite() if name in parameters else value.isnan()).any()
    ]
    if wrong:
        more = f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''
        raise NonFiniteWeightsError(
            f'Iteration {checkpoint["meta"]["iter"]}: no checkpoint is written, since NaN or infinite values are '
            f'in {", ".join(wrong[:3])}{more}. Lower the learning rate or clip the gradients '
            '(optim_wrapper.clip_grad), then continue from the last checkpoint with --resume.'
        )
