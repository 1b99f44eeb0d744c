"""Stop training at the first NaN or infinite loss or gradient."""

import io
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper, ApexOptimWrapper, OptimWrapper, OptimWrapperDict
from torch import Tensor

from mmkd3d.registry import HOOKS
from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.distributed import unwrap_model


class NonFiniteLossError(RuntimeError):
    """A loss is NaN or infinite."""


class NonFiniteGradientError(NonFiniteLossError):
    """A gradient is NaN or infinite; the loss was finite."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop training at the first NaN or infinite loss or gradient.

    Losses and gradients are checked after the backward pass and before the
    optimizer's step, so the weights and the optimizer state are still valid.
    The error lists loss terms or parameters, and the samples. The batch is
    saved to ``WORK_DIR/nonfinite_batch_rank0.pth`` (load it with
    ``weights_only=True``). Works with any mmengine model and
    any ``OptimWrapper``.

    Mixed precision scales the loss, and skips steps whose gradients overflow
    while it looks for a good scale: only ``max_overflows`` such steps in a
    row are an error.

    Args:
        max_overflows: The default, 40, is enough for any scale to fall from
            65536 to below 1e-7.

    Raises:
        NonFiniteLossError: A loss is NaN or infinite.
        NonFiniteGradientError: A gradient or the norm of all is.
    """

    priority = 'VERY_HIGH'

    def __init__(self, max_overflows: int = 40):
        self.max_overflows = max_overflows
        self._batch: dict | None = None
        self._terms: dict[str, Tensor] = {}  # of the loss
        self._unchecked: Tensor | None = None  # loss of which no backward pass was seen

    def before_train(self, runner) -> None:
        model = unwrap_model(runner.model)
        parse_losses = model.parse_losses

        def parse_and_check(losses: dict):
            total, self._terms = parse_losses(losses)
            self._unchecked = total.detach()
            return total, self._terms

        model.parse_losses = parse_and_check
        self._names = {id(p): name for name, p in model.named_parameters()}
        wrapper = runner.optim_wrapper
        several = isinstance(wrapper, OptimWrapperDict)
        for one in wrapper.optim_wrappers.values() if several else [wrapper]:
            self._check_gradients_of(runner, one)

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        self._batch = data_batch

    def _check_gradients_of(self, runner, wrapper: OptimWrapper) -> None:
        """Let a wrapper check the gradients after each backward pass."""
        backward, overflows = wrapper.backward, 0
        scaled = isinstance(wrapper, (AmpOptimWrapper, ApexOptimWrapper))

        def backward_and_check(loss: Tensor, **kwargs) -> None:
            nonlocal overflows
            backward(loss, **kwargs)
            parameters = [
                p
                for group in wrapper.optimizer.param_groups
                for p in group['params']
                if p.requires_grad
            ]
            # both in one tensor, to wait for a GPU only once
            found = torch.stack(
                [loss.detach().isfinite().all(), norm_is_finite(parameters, loss.device)]
            )
            loss_is_finite, gradients_are_finite = found.tolist()
            if not loss_is_finite:
                self._stop_at_loss(runner)
            self._unchecked = None
            if gradients_are_finite:
                overflows = 0
                return
            overflows += 1
            # accumulated gradients stay until the next step
            if not scaled or overflows > self.max_overflows * wrapper._accumulative_counts:
                self._stop_at_gradient(runner, parameters, loss, overflows if scaled else 0)

        step = wrapper.step

        def check_and_step(**kwargs) -> None:
            # of a model whose train_step calls loss.backward()
            if self._unchecked is not None and not self._unchecked.isfinite():
                self._stop_at_loss(runner)
            step(**kwargs)

        wrapper.backward, wrapper.step = backward_and_check, check_and_step

    def _stop_at_loss(self, runner) -> None:
        terms = [
            f'{name}={value.item()}'
            for name, value in self._terms.items()
            if name != 'loss' and not torch.isfinite(value)
        ]
        raise NonFiniteLossError(self._report(runner, ', '.join(terms), terms=terms))

    def _stop_at_gradient(
        self, runner, parameters: list[Tensor], loss: Tensor, overflows: int
    ) -> None:
        bad = [p for p in parameters if p.grad is not None and not p.grad.isfinite().all()]
        names = [self._names.get(id(p), 'a parameter') for p in bad]
        more = f' and of {len(names) - 3} more parameters' if len(names) > 3 else ''
        what = 'the norm of all gradients is too large for float32'
        if names:
            what = f'the gradient of {", ".join(names[:3])}{more} is NaN or infinite'
        if overflows:
            what += f', {overflows} times in a row under mixed precision'
        text = f'{what}, while the loss is finite ({loss.item():.6g})'
        raise NonFiniteGradientError(self._report(runner, text, gradients=names))

    def _report(self, runner, what: str, **content) -> str:
        """Save the batch, and write the message."""
        batch = self._batch if isinstance(self._batch, dict) else {}
        samples = [sample_name(s) for s in batch.get('data_samples') or []]
        path = Path(runner.work_dir) / f'nonfinite_batch_rank{runner.rank}.pth'
        file = io.BytesIO()
        torch.save(
            dict(iter=runner.iter, samples=samples, inputs=batch.get('inputs'), **content), file
        )
        saved = f'is saved in {path}'
        try:
            write_atomic(path, file.getbuffer())
        except OSError as error:
            saved = f'cannot be saved ({error})'
        return (
            f'Iteration {runner.iter + 1}: {what} for the samples {", ".join(samples)}. The '
            f'weights were not updated. The batch {saved}. Check these samples, the learning rate '
            'and --amp, then continue with --resume.'
        )


def norm_is_finite(parameters: list[Tensor], device: torch.device) -> Tensor:
    """Whether the norm of all gradients is, which a single NaN makes NaN; a bool on ``device``."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return torch.tensor(True, device=device)
    norms = torch._foreach_norm(gradients)
    total = torch.stack([norm.float().to(device) for norm in norms]).norm()
    if hasattr(total, 'full_tensor'):  # split over processes by FSDPStrategy
        total = total.full_tensor()
    return total.isfinite()


def sample_name(sample) -> str:
    """Return the name of a data sample of mmkd3d or mmdetection3d."""
    for key in ('sample_id', 'lidar_path', 'sample_idx'):
        if sample.metainfo.get(key) is not None:
            return str(sample.metainfo[key])
    return 'unnamed'
