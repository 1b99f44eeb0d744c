"""Whether a model is being recorded, by ``torch.export`` or a tracer."""

import torch


def is_exporting() -> bool:
    """Whether ``torch.export``, ``torch.onnx.export`` or ``torch.jit.trace`` records the model.

    Checks of values are left out then, and searches are written without loops
    whose length depends on the values.
    """
    exporting = getattr(torch.compiler, 'is_exporting', None)  # not in old versions of torch
    return torch.jit.is_tracing() or (exporting is not None and exporting())
