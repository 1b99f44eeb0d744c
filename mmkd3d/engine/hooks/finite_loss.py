"""Stop training at the first NaN or infinite loss."""

from pathlib import Path

import torch
from mmengine.hooks import Hook

from mmkd3d.registry import HOOKS
from mmkd3d.utils.distributed import unwrap_model


class NonFiniteLossError(RuntimeError):
    """A loss is NaN or infinite."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop training at the first NaN or infinite loss.

    The loss is checked before the backward pass, so the weights and the
    optimizer state are still valid. The error lists the loss terms and the
    samples, and the batch is saved to
    ``WORK_DIR/nonfinite_batch_rank0.pth`` (load it with
    ``weights_only=True``). Works with any mmengine model.

    Raises:
        NonFiniteLossError: A loss is NaN or infinite.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner) -> None:
        model = unwrap_model(runner.model)
        parse_losses = model.parse_losses

        def parse_and_check(losses: dict):
            total, log_vars = parse_losses(losses)
            if not torch.isfinite(total):
                self._stop(runner, log_vars)
            return total, log_vars

        model.parse_losses = parse_and_check

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        self._batch = data_batch

    def _stop(self, runner, log_vars: dict) -> None:
        terms = [
            f'{name}={value.item()}'
            for name, value in log_vars.items()
            if name != 'loss' and not torch.isfinite(value)
        ]
        samples = [sample_name(s) for s in self._batch['data_samples']]
        path = Path(runner.work_dir) / f'nonfinite_batch_rank{runner.rank}.pth'
        torch.save(
            dict(iter=runner.iter, terms=terms, samples=samples, inputs=self._batch['inputs']), path
        )
        raise NonFiniteLossError(
            f'Iteration {runner.iter + 1}: {", ".join(terms)} for the samples '
            f'{", ".join(samples)}. The weights were not updated. The batch is saved in {path}. '
            'Check these samples, the learning rate and --amp, then continue with --resume.'
        )


def sample_name(sample) -> str:
    """Return the name of a data sample of mmkd3d or mmdetection3d."""
    for key in ('sample_id', 'lidar_path', 'sample_idx'):
        if sample.metainfo.get(key) is not None:
            return str(sample.metainfo[key])
    return 'unnamed'
