"""Contrastive loss between two modalities."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor
from torch.distributed.nn import functional as dist_nn

from mmkd3d.registry import MODELS

MODES = ('hard', 'soft')


@MODELS.register_module()
class ContrastiveAlignLoss(nn.Module):
    """Symmetric InfoNCE with a learned scale, as in CLIP (DC-8).

    With unit vectors z_i of clouds and g_i of their teacher features, over the batch of all
    processes::

        1/2 [CE(s Z G^T, P) + CE(s G Z^T, P)]

    Never computed in half precision.

    Args:
        mode: ``'hard'``: P is the identity. ``'soft'``: P is the softmax of the rows of
            ``G G^T / soft_temperature``, without gradient, for batches with near-duplicates.
        init_temperature: Initial 1 / s.
        max_scale: Upper limit of s.
        learn_scale: Whether s is trained.
        soft_temperature: See ``mode``.
        gather: Contrast with the samples of all processes, whose batches must have the same size.
        loss_weight: Factor of the loss.

    Raises:
        ValueError: The mode is unknown, or a number is not positive.
    """

    def __init__(
        self,
        mode: str = 'hard',
        *,
        init_temperature: float = 0.07,
        max_scale: float = 100.0,
        learn_scale: bool = True,
        soft_temperature: float = 0.05,
        gather: bool = True,
        loss_weight: float = 1.0,
    ):
        super().__init__()
        if mode not in MODES:
            raise ValueError(f'mode is one of {MODES}, got {mode!r}.')
        if min(init_temperature, max_scale, soft_temperature) <= 0:
            raise ValueError(
                'Temperatures and max_scale must be positive, got '
                f'init_temperature={init_temperature}, max_scale={max_scale} '
                f'and soft_temperature={soft_temperature}.'
            )
        self.mode = mode
        self.soft_temperature = soft_temperature
        self.gather = gather
        self.loss_weight = loss_weight
        self.max_log_scale = math.log(max_scale)
        self.log_scale = nn.Parameter(
            torch.tensor(-math.log(init_temperature)), requires_grad=learn_scale
        )

    @property
    def scale(self) -> Tensor:
        """The scale s, clamped to its limit."""
        return self.log_scale.clamp(max=self.max_log_scale).exp()

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Contrast ``pred`` (B, D) with ``target`` (B, D).

        Every process returns the loss of its own rows. Their mean over the processes, which DDP
        computes of the gradients, is the loss of the joined batch.

        Raises:
            ValueError: The shapes differ, or processes have batches of different sizes.
        """
        if pred.ndim != 2 or pred.shape != target.shape:
            raise ValueError(
                'pred and target must be (B, D), got '
                f'{tuple(pred.shape)} and {tuple(target.shape)}.'
            )
        # Above the limit, the clamp in ``scale`` has no gradient.
        self.log_scale.data.clamp_(max=self.max_log_scale)
        with torch.autocast(pred.device.type, enabled=False):
            exact = torch.promote_types(pred.dtype, torch.float32)
            z, g = (F.normalize(x.to(exact), dim=-1) for x in (pred, target))
            z_all, g_all, first = z, g, 0
            if self.gather and get_world_size() > 1:
                check_same_size(z)
                z_all, g_all = (torch.cat(dist_nn.all_gather(x)) for x in (z, g))
                first = get_rank() * len(z)
            if self.mode == 'hard':
                truth = torch.arange(first, first + len(z), device=z.device)
            else:
                truth = (g @ g_all.T / self.soft_temperature).softmax(1)
                truth = truth.detach()
            loss = sum(
                F.cross_entropy(self.scale * a @ b.T, truth) for a, b in ((z, g_all), (g, z_all))
            )
            return self.loss_weight * loss / 2


def check_same_size(feats: Tensor) -> None:
    """Raise ``ValueError`` on all processes if their batch sizes differ."""
    sizes = all_gather(torch.tensor([len(feats)], device=feats.device))
    sizes = torch.cat(sizes).tolist()
    if len(set(sizes)) > 1:
        raise ValueError(
            f'All processes must have the same batch size, got {sizes}: set drop_last=True in the '
            'train_dataloader, or gather=False.'
        )


@torch.no_grad()
def retrieval_accuracy(pred: Tensor, target: Tensor) -> Tensor:
    """Share of predictions (B, D) whose own target (B, D) is the nearest by cosine."""
    a, b = (F.normalize(x.float(), dim=-1) for x in (pred, target))
    own = torch.arange(len(a), device=a.device)
    return ((a @ b.T).argmax(1) == own).float().mean()
