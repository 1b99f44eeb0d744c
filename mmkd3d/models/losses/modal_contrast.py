"""Supervised contrastive loss between shapes."""

import zlib
from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import all_gather, get_world_size
from torch import Tensor
from torch.distributed.nn import functional as dist_nn

from mmkd3d.registry import MODELS


@MODELS.register_module()
class SingleModalContrast(nn.Module):
    """Pull shapes of one category together (ReCon, ``self_contrastive``).

    With the cosines S of projected features, and p_i the mean of S_ij over the category of shape
    i, itself included, the loss of shape i at temperature t is::

        -p_i / t + log(exp(p_i / t) + sum_j exp(S_ij / t)),  j of other categories

    A batch of one category has loss 0. Never computed in half precision.

    Args:
        embed_dims: Width of the features, C.
        proj_dims: Width of the projection.
        temperature: t.
        gather: Compare with the shapes of all processes; False as published.
        loss_weight: Factor of the loss.
    """

    def __init__(
        self,
        embed_dims: int = 384,
        proj_dims: int = 128,
        *,
        temperature: float = 0.1,
        gather: bool = False,
        loss_weight: float = 1.0,
    ):
        super().__init__()
        self.temperature = temperature
        self.gather = gather
        self.loss_weight = loss_weight
        self.proj = nn.Sequential(
            nn.Linear(embed_dims, proj_dims),
            nn.BatchNorm1d(proj_dims),
            nn.ReLU(inplace=True),
            nn.Linear(proj_dims, proj_dims),
            nn.BatchNorm1d(proj_dims),
        )

    def forward(self, feats: Tensor, categories: Sequence[str]) -> Tensor:
        """Loss of features (B, C) of B shapes with these categories.

        Raises:
            ValueError: There is one shape in training, which has no batch statistics.
        """
        if len(feats) == 1 and self.training and isinstance(self.proj[1], nn.BatchNorm1d):
            raise ValueError(
                'The contrast cannot be trained on a batch of 1: raise batch_size of the '
                'train_dataloader, set drop_last=True if it is the last batch of an epoch, or '
                'set losses.contrast=None.'
            )
        # At first, shapes differ by less than the precision of bf16.
        with torch.autocast(feats.device.type, enabled=False):
            exact = torch.promote_types(feats.dtype, torch.float32)
            z = F.normalize(self.proj(feats.to(exact)), dim=-1)
            return self.loss_weight * self.compare(z, categories)

    def compare(self, z: Tensor, categories: Sequence[str]) -> Tensor:
        """Unweighted loss of unit vectors (B, D)."""
        # A checksum is the same number on every process.
        kind = torch.tensor([zlib.crc32(c.encode()) for c in categories], device=z.device)
        kinds, z_all = kind, z
        if self.gather and get_world_size() > 1:
            z_all = torch.cat(dist_nn.all_gather(z))
            kinds = torch.cat(all_gather(kind))
        cosine = z @ z_all.T  # (B, B of all processes)
        return supervised_contrast(cosine, kind[:, None] == kinds, self.temperature)


def supervised_contrast(cosine: Tensor, same: Tensor, temperature: float) -> Tensor:
    """Loss from cosines S (B, A) and which pairs have the same category, (B, A) bool."""
    logits = cosine / temperature
    positive = (logits * same).sum(dim=1) / same.sum(dim=1)
    negatives = logits.masked_fill(same, -torch.inf)
    everything = torch.cat([positive[:, None], negatives], dim=1)
    return (everything.logsumexp(dim=1) - positive).mean()
