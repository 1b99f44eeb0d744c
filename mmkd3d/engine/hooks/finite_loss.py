"""Stop at the first loss that is not finite, before it reaches a weight."""

from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmkd3d.registry import HOOKS


class NonFiniteLossError(RuntimeError):
    """A loss term became NaN or infinite."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Refuse to train on a loss that is NaN or infinite.

    The check stands between forward and backward, so weights and optimizer
    are still good. The batch is written to
    ``WORK_DIR/nonfinite_batch_rank0.pth`` (readable with
    ``weights_only=True``: tensors and names), the error names the loss terms
    and the samples. Works for every model of mmengine.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner) -> None:
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        parse_losses = model.parse_losses

        def checked(losses: dict):
            total, log_vars = parse_losses(losses)
            if not torch.isfinite(total):
                self._stop(runner, log_vars)
            return total, log_vars

        model.parse_losses = checked

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
            f'{", ".join(samples)}. No weight was changed by it. The batch is '
            f'in {path}. Look at these samples first, then at the learning '
            'rate and at --amp; resume with --resume.'
        )


def sample_name(sample) -> str:
    """What identifies a data sample of mmkd3d or of mmdetection3d."""
    meta = sample.metainfo
    for key in ('sample_id', 'lidar_path', 'sample_idx'):
        if meta.get(key) is not None:
            return str(meta[key])
    return 'unnamed'
