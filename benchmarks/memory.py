"""Memory saved by a detector's training step for the backward pass."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn as nn

from .inputs import room_batch
from .measure import peak_memory, reset_peak
from .tables import format_bytes

HEADER = ('part', 'batch 1', 'per scene', 'batch {}, computed')
STATE = 16  # bytes per parameter: weight, gradient, two AdamW moments


class SavedTensors:
    """Bytes saved by autograd, for each part of the model.

    Shared storage is counted once; parameters are not counted.
    """

    def __init__(self, model: nn.Module):
        self.bytes = Counter()
        self._seen = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self._kept = []  # keeps storages alive, so that no address is reused
        self._running = ['rest']

    @contextmanager
    def of(self, parts: dict[str, nn.Module]) -> Iterator[None]:
        """Count the bytes saved within the context. Parts may be nested."""
        handles = []
        for name, part in parts.items():
            handles += [
                part.register_forward_pre_hook(lambda *_, name=name: self._running.append(name)),
                part.register_forward_hook(lambda *_: self._running.pop() and None),
            ]
        with torch.autograd.graph.saved_tensors_hooks(self._pack, lambda x: x):
            yield
        for handle in handles:
            handle.remove()

    def _pack(self, x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self._kept.append(storage)
            self.bytes[self._running[-1]] += storage.nbytes()
        return x


def run(
    model: nn.Module, *, num_points: int, batch_size: int, device: str
) -> tuple[list[list[str]], int, int | None]:
    """Estimate the training memory of a batch, and measure the peak on a GPU.

    Computes the losses of one and of two synthetic scenes under bf16 autocast.
    The saved memory grows linearly with the batch size, so larger batches are
    extrapolated.

    Args:
        model: A detector of mmdetection3d in train mode, on ``device``.
        num_points: Points per scene.
        batch_size: Batch size to estimate.
        device: 'cpu', 'cuda', ...

    Returns:
        The table rows; the bytes for that batch including weights, gradients
        and AdamW state; and the peak of a whole step on a GPU, else None.
    """
    one, two = (saved_bytes(model, n, num_points, device) for n in (1, 2))
    each = {part: two[part] - one[part] for part in one}
    whole = {part: one[part] + (batch_size - 1) * each[part] for part in one}
    state = STATE * sum(p.numel() for p in model.parameters())
    rows = [[part, *map(format_bytes, (one[part], each[part], whole[part]))] for part in one]
    rows.append(['weights, gradients, AdamW', *[format_bytes(state)] * 3])
    total = state + sum(whole.values())
    rows.append(
        [
            'all',
            format_bytes(state + sum(one.values())),
            format_bytes(sum(each.values())),
            format_bytes(total),
        ]
    )
    peak = None
    if device.startswith('cuda'):
        before = reset_peak(True)
        loss_of(model, batch_size, num_points, device).backward()
        # the peak already includes the gradients, a quarter of the state
        peak = peak_memory(True) - before + state * 3 // 4
    return rows, total, peak


def saved_bytes(model: nn.Module, batch_size: int, num_points: int, device: str) -> Counter:
    """Bytes saved by each part of a model when computing the losses of a batch."""
    parts = {}
    for name, part in model.named_children():
        if name == 'backbone':
            parts.update((f'{name}.{n}', m) for n, m in part.named_children())
        parts[name] = part
    saved = SavedTensors(model)
    with saved.of(parts):
        # keep the loss: its graph is freed with it
        loss = loss_of(model, batch_size, num_points, device)
    assert loss.requires_grad
    return saved.bytes


def loss_of(model: nn.Module, batch_size: int, num_points: int, device: str) -> torch.Tensor:
    """Loss of synthetic rooms under bf16 autocast."""
    batch = model.data_preprocessor(room_batch(num_points, batch_size), training=True)
    with torch.autocast(device.split(':')[0], torch.bfloat16):
        losses = model(**batch, mode='loss')
    return model.parse_losses(losses)[0]
