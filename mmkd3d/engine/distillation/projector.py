"""A projector that is trained beside the model of a run."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from mmengine.model import MMDistributedDataParallel
from torch import Tensor

from mmkd3d.models.distillation.projector import make_projector, saved_widths
from mmkd3d.utils.rng import own_draws

from ..optim.added_group import add_group, only_optimizer, put_back, take_out


class SideProjector:
    """Linear layers that the optimizer of a run trains beside its model.

    They are made when the width of what they read is known, and take part in
    AMP, distributed training and accumulation of gradients; the model and its
    part of the checkpoints don't know of them.

    Args:
        name: In ``checkpoint['distillation']`` and in the optimizer.
        widths: Of all layers' outputs; the last one is that of the teacher.
        seed: Of the first weights, the same in all processes.
    """

    def __init__(self, name: str, widths: Sequence[int], seed: int):
        self.name = name
        self.widths = tuple(widths)
        self.seed = seed
        self.net: nn.Sequential | None = None

    def __call__(self, runner, feats: Tensor) -> Tensor:
        """Project (n, C) to (n, D), in float32.

        Raises:
            ValueError: C is not what it was before.
        """
        if self.net is None:
            self._join(runner, feats.shape[-1], feats.device)
        elif feats.shape[-1] != self.net[0].in_features:
            raise ValueError(
                f'The features of the student have width {feats.shape[-1]}, '
                f'the projector {self.name!r} was made for '
                f'{self.net[0].in_features}: the checkpoint is of another '
                'student, or its output changes.'
            )
        # Processes exchange no gradients while these are accumulated. It may
        # switch on autocast, too.
        with (
            runner.optim_wrapper.optim_context(self.wrapped),
            torch.autocast(feats.device.type, enabled=False),
        ):
            return self.wrapped(feats)

    def save(self, runner, checkpoint: dict) -> None:
        """Move all that is its own to ``checkpoint['distillation']``."""
        if self.net is None:
            return
        optimizer = take_out(checkpoint, only_optimizer(runner), self.name)
        state = {key: v.cpu() for key, v in self.net.state_dict().items()}
        checkpoint.setdefault('distillation', {})[self.name] = dict(
            projector=state, optimizer=optimizer
        )

    def resume(self, runner, saved: dict, device: torch.device) -> None:
        """Go on with what :meth:`save` put into a checkpoint.

        Raises:
            ValueError: The projector leads to other widths.
        """
        widths = saved_widths(saved['projector'])
        if widths[1:] != self.widths:
            raise ValueError(
                f'The projector {self.name!r} of the checkpoint leads from '
                f'width {widths[0]} to {widths[1:]}, now {self.widths} is '
                'asked for; the last is the width of the teacher. Resume with '
                'the same teacher and projector, or start anew from the '
                "model's weights: load_from without resume."
            )
        self._join(runner, widths[0], device)
        self.net.load_state_dict(saved['projector'])
        if saved['optimizer'] is not None:
            put_back(only_optimizer(runner), saved['optimizer'], self.name)

    def _join(self, runner, width: int, device: torch.device) -> None:
        with own_draws(self.seed, device):
            self.net = make_projector((width, *self.widths)).to(device)
        add_group(runner, self.net.parameters(), self.name)
        self.wrapped = self.net
        if runner.distributed:
            self.wrapped = MMDistributedDataParallel(self.net, broadcast_buffers=False)
