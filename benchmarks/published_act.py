"""ACT as implemented in its published code, with the same weights.

See :mod:`.published`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.models.layers.dgcnn import DGCNN, EdgeConv
from mmkd3d.models.layers.folding import FoldingDecoder
from mmkd3d.models.layers.quantizer import GumbelQuantizer
from mmkd3d.models.losses.distances import CosineLoss
from mmkd3d.models.teachers.prompted_transformer import PromptedTransformer
from mmkd3d.ops import gather

from .published import (
    PublishedBatchNorm,
    PublishedMasker,
    PublishedPatchEmbed,
    PublishedPatchGroup,
    convolve,
    convolve_linear,
    looped_knn,
)


class PublishedEdgeConv(EdgeConv):
    """Recomputes the graph and applies a convolution to its edges."""

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
    """Passes the centres, not a graph, to each edge convolution."""

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
    """Also computes hard codes as a product of one-hot rows with the codebook."""

    def forward(self, logits, *, hard=False, noise=None):
        if noise is None:
            noise = -torch.empty_like(logits).exponential_().log()
        temperature = 1.0 if hard else self.temperature
        choice = ((logits + noise) / temperature).softmax(dim=-1)
        if hard:
            one_hot = torch.zeros_like(choice).scatter_(
                -1, choice.argmax(dim=-1, keepdim=True), 1.0
            )
            choice = one_hot - choice.detach() + choice
        return torch.einsum('bgn,nc->bgc', choice, self.codebook)


class PublishedPromptedTransformer(PromptedTransformer):
    """Runs prompts and patches as one sequence through every full block."""

    def read(self, x, centers):
        net, P = self.frozen.net, self.num_prompts
        pos = self.pos_embed(centers)  # (B, G, W)
        for i, block in enumerate(net.blocks):
            tokens, token_pos = self._prompts_of(i)
            tokens = F.dropout(tokens.expand(len(x), -1, -1), self.prompt_dropout, self.training)
            x = torch.cat([tokens, x[:, P * (i > 0) :]], dim=1)
            x = block(x + torch.cat([token_pos.expand_as(tokens), pos], dim=1))
        return net.norm(x)[:, P:]

    def _prompts_of(self, index: int) -> tuple[Tensor, Tensor]:
        """Prompt tokens and their positions, (1, P, W) each."""
        if index == 0:
            return self.prompt_token, self.prompt_pos
        return (self.deep_prompt_tokens[index - 1 : index], self.deep_prompt_pos[index - 1 : index])


class PublishedFolding(FoldingDecoder):
    """Copies the feature to all points before the folding MLP."""

    def forward(self, feats):
        B, G, C = feats.shape
        coarse = self.coarse(feats).view(B * G, -1, 3)  # (BG, K/4, 3)
        start = coarse.repeat_interleave(4, dim=1).transpose(1, 2)
        K = start.shape[2]
        grid = self.grid.T.repeat(1, K // 4).expand(B * G, -1, -1)
        x = feats.reshape(B * G, C, 1).expand(-1, -1, K)
        x = convolve(self.fold, torch.cat([x, grid, start], dim=1)) + start
        return coarse.view(B, G, -1, 3), x.transpose(1, 2).reshape(B, G, K, 3)


class PublishedCosineLoss(CosineLoss):
    """Takes the mean of each cloud in a loop."""

    def forward(self, pred, target):
        loss = sum(1 - F.cosine_similarity(p, t, dim=-1).mean() for p, t in zip(pred, target))
        return self.loss_weight * loss / len(pred)


FORMS = (
    PublishedPatchGroup,
    PublishedBatchNorm,
    PublishedPatchEmbed,
    PublishedEdgeConv,
    PublishedDGCNN,
    PublishedQuantizer,
    PublishedPromptedTransformer,
    PublishedFolding,
    PublishedMasker,
    PublishedCosineLoss,
)
