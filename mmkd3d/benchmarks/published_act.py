"""ACT computed as in its published code: the same weights, more work.

For benchmarks and tests only. Each class is the published form of the part
that it extends: it reads the same parameters and says the same, up to
rounding.
"""
from typing import Iterator

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.models.losses.cosine import CosineLoss
from mmkd3d.models.maskers.random import RandomMasker
from mmkd3d.models.modules.dgcnn import DGCNN, EdgeConv
from mmkd3d.models.modules.folding import Folded, FoldingDecoder
from mmkd3d.models.modules.masking import split_by_mask
from mmkd3d.models.modules.patch_embed import PatchEmbed
from mmkd3d.models.modules.patch_group import Patches, PatchGroup
from mmkd3d.models.modules.quantizer import GumbelQuantizer
from mmkd3d.models.teachers.base import BaseTeacher
from mmkd3d.models.teachers.prompted_transformer import PromptedTransformer
from mmkd3d.ops import farthest_point_sample, gather, group


def looped_knn(query: Tensor, points: Tensor, k: int) -> Tensor:
    """Indices (B, M, k) from whole tables of squared differences."""
    return torch.stack([
        (q[:, None] - p).square().sum(2).topk(k, largest=False).indices
        for q, p in zip(query, points)
    ])


def convolve(mlp: nn.Sequential, x: Tensor) -> Tensor:
    """Run an MLP as 1x1 convolutions over ``x`` (N, C, L)."""
    for layer in mlp:
        x = convolve_linear(layer, x) if isinstance(layer, nn.Linear) \
            else layer(x)
    return x


def convolve_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return F.conv1d(x, layer.weight[..., None], layer.bias)


class PublishedPatchGroup(PatchGroup):
    """Neighbours cloud by cloud."""

    def forward(self, points):
        center_idx = farthest_point_sample(
            points, self.num_groups, rule=self.fps_rule)
        centers = gather(points, center_idx)
        point_idx = looped_knn(centers, points, self.group_size)
        return Patches(
            group(points, centers, point_idx), centers, center_idx, point_idx)


class PublishedPatchEmbed(PatchEmbed):
    """The maximum is copied to all points before the second MLP."""

    def forward(self, patches, mask=None):
        B, G, K, _ = patches.shape
        local = convolve(self.first, patches.flatten(0, 1).transpose(1, 2))
        pooled = local.max(dim=2, keepdim=True).values  # (BG, 256, 1)
        x = torch.cat([pooled.expand(-1, -1, K), local], dim=1)
        x = convolve(self.second, x).max(dim=2).values.view(B, G, -1)
        return x if mask is None else split_by_mask(x, mask)[0]


class PublishedEdgeConv(EdgeConv):
    """The graph found anew, and a convolution over its edges."""

    def forward(self, feats, centers):
        graph = looped_knn(centers, centers, DGCNN.num_neighbors)
        neighbor = gather(feats.transpose(1, 2).contiguous(), graph)
        neighbor = neighbor.permute(0, 3, 1, 2).contiguous()  # (B, C, G, k)
        center = feats[..., None].expand_as(neighbor)
        edges = torch.cat([neighbor - center, center], dim=1)
        edges = F.conv2d(edges, self.linear.weight[:, :, None, None])
        edges = F.leaky_relu(self.norm(edges), 0.2)
        return edges.max(dim=3).values  # (B, D, G)


class PublishedDGCNN(DGCNN):
    """Each edge convolution is given the centres in place of a graph."""

    @classmethod
    def graph(cls, centers):
        return centers

    def forward(self, feats, graph):
        feats = convolve_linear(self.input, feats.transpose(1, 2))
        levels = []
        for edge in self.edges:
            feats = edge(feats, graph)
            levels.append(feats)
        feats = convolve_linear(self.output, torch.cat(levels, dim=1))
        return F.leaky_relu(self.norm(feats), 0.2).transpose(1, 2)


class PublishedQuantizer(GumbelQuantizer):
    """Hard codes as a product of one-hot rows with the codebook, too."""

    def forward(self, logits, *, hard=False, noise=None):
        if noise is None:
            noise = -torch.empty_like(logits).exponential_().log()
        temperature = 1. if hard else self.temperature
        choice = ((logits + noise) / temperature).softmax(dim=-1)
        if hard:
            one_hot = torch.zeros_like(choice).scatter_(
                -1, choice.argmax(dim=-1, keepdim=True), 1.)
            choice = one_hot - choice.detach() + choice
        return torch.einsum('bgn,nc->bgc', choice, self.codebook)


class PublishedPromptedTransformer(PromptedTransformer):
    """Prompts and patches in one sequence through every whole block."""

    def read(self, x, centers):
        net, P = self.frozen.net, self.num_prompts
        pos = self.pos_embed(centers)  # (B, G, W)
        for i, block in enumerate(net.blocks):
            tokens, token_pos = self._prompts_of(i)
            tokens = F.dropout(
                tokens.expand(len(x), -1, -1), self.prompt_dropout,
                self.training)
            x = torch.cat([tokens, x[:, P * (i > 0):]], dim=1)
            x = block(x + torch.cat([token_pos.expand_as(tokens), pos], dim=1))
        return net.norm(x)[:, P:]

    def _prompts_of(self, index: int) -> tuple[Tensor, Tensor]:
        """Tokens and positions, (1, P, W) each."""
        if index == 0:
            return self.prompt_token, self.prompt_pos
        return (self.deep_prompt_tokens[index - 1:index],
                self.deep_prompt_pos[index - 1:index])


class PublishedFolding(FoldingDecoder):
    """The feature is copied to all points before the folding MLP."""

    def forward(self, feats):
        B, G, C = feats.shape
        coarse = self.coarse(feats).view(B * G, -1, 3)  # (BG, K/4, 3)
        start = coarse.repeat_interleave(4, dim=1).transpose(1, 2)
        K = start.shape[2]
        grid = self.grid.T.repeat(1, K // 4).expand(B * G, -1, -1)
        x = feats.reshape(B * G, C, 1).expand(-1, -1, K)
        x = convolve(self.fold, torch.cat([x, grid, start], dim=1)) + start
        return Folded(
            coarse.view(B, G, -1, 3),
            x.transpose(1, 2).reshape(B, G, K, 3))


class PublishedMasker(RandomMasker):
    """Masks shuffled by numpy, cloud by cloud."""

    def __call__(self, centers, scores=None, generator=None):
        B, G, _ = centers.shape
        masks, num_masked = np.zeros((B, G)), int(self.ratio * G)
        for i in range(B):
            mask = np.hstack([np.zeros(G - num_masked), np.ones(num_masked)])
            np.random.shuffle(mask)
            masks[i] = mask
        return torch.from_numpy(masks).to(torch.bool).to(centers.device)


class PublishedCosineLoss(CosineLoss):
    """The mean of each cloud in turn."""

    def forward(self, pred, target):
        loss = sum(1 - F.cosine_similarity(p, t, dim=-1).mean()
                   for p, t in zip(pred, target))
        return self.loss_weight * loss / len(pred)


PUBLISHED = {
    form.__base__: form
    for form in (PublishedPatchGroup, PublishedPatchEmbed, PublishedEdgeConv,
                 PublishedDGCNN, PublishedQuantizer,
                 PublishedPromptedTransformer, PublishedFolding,
                 PublishedMasker, PublishedCosineLoss)
}


def make_published(model: nn.Module) -> None:
    """Let every part of ``model`` compute as in the published code.

    Args:
        model: :class:`ACT` or :class:`ACTAutoencoder`, with deep prompts and
            without a global branch; changed in place, the weights stay.
    """
    parts = list(parts_of(model))
    if hasattr(model, 'masker'):
        parts.append(model.masker)
    for part in parts:
        if type(part) in PUBLISHED:
            part.__class__ = PUBLISHED[type(part)]
        if hasattr(part, 'fused_attn'):  # timm's: the softmax written out
            part.fused_attn = False


def parts_of(model: nn.Module) -> Iterator[nn.Module]:
    """All modules, those of frozen networks too."""
    for module in model.modules():
        yield module
        if isinstance(module, BaseTeacher):
            yield from parts_of(module.net)
