"""From the features of a student to the width of a teacher."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch.nn as nn
from torch import Tensor

from mmkd3d.checkpoints import read_checkpoint


def make_projector(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers between W widths, with GELU between them."""
    layers = []
    for wide, to in zip(widths[:-1], widths[1:]):
        layers += [nn.Linear(wide, to), nn.GELU()]
    return nn.Sequential(*layers[:-1])


def saved_widths(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """The widths that the projector of a state dict was made with."""
    weights = [v for key, v in state.items() if key.endswith('weight')]
    return (weights[0].shape[1], *(len(weight) for weight in weights))


def load_projector(checkpoint: str | Path, name: str = 'distill') -> nn.Sequential:
    """The projector that :class:`DistillationHook` left in a checkpoint.

    Args:
        checkpoint: File of a run with the hook.
        name: Of the hook.

    Raises:
        ValueError: No hook of this name wrote it.
    """
    hooks = read_checkpoint(checkpoint).get('distillation', {})
    if name not in hooks:
        raise ValueError(
            f'{checkpoint} has no projector {name!r}, but {sorted(hooks)}: '
            'take one of a run with a DistillationHook of this name.'
        )
    state = hooks[name]['projector']
    projector = make_projector(saved_widths(state))
    projector.load_state_dict(state)
    return projector.eval()
