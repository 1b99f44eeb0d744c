"""Graph network over the patches of a cloud."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops import gather, knn


class EdgeConv(nn.Module):
    """``max_j LeakyReLU(GroupNorm(W [f_j - f_i, f_i]))`` over neighbours j.

    ``W [f_j - f_i, f_i] = W1 f_j + (W2 - W1) f_i``: both products are computed once for each
    patch and then gathered, with the same result as a convolution over the edges. The norm has
    the statistics of channels, patches and neighbours.

    Args:
        in_dims: Width of the patches.
        out_dims: Width of the result.
        num_norm_groups: Groups of the norm.
    """

    def __init__(self, in_dims: int, out_dims: int, *, num_norm_groups: int = 4):
        super().__init__()
        self.linear = nn.Linear(2 * in_dims, out_dims, bias=False)
        self.norm = nn.GroupNorm(num_norm_groups, out_dims)

    def forward(self, feats: Tensor, graph: Tensor) -> Tensor:
        """Map ``feats`` (B, G, C) along ``graph`` (B, G, k) to (B, G, D)."""
        weight_difference, weight_center = self.linear.weight.chunk(2, dim=1)
        neighbor = F.linear(feats, weight_difference)  # (B, G, D)
        center = F.linear(feats, weight_center) - neighbor
        edges = gather(neighbor, graph) + center[:, :, None]  # (B, G, k, D)
        edges = self.norm(edges.permute(0, 3, 1, 2))  # (B, D, G, k)
        # LeakyReLU is monotonic, so it can follow the maximum.
        return F.leaky_relu(edges.amax(dim=3), 0.2).transpose(1, 2)


class DGCNN(nn.Module):
    """Edge convolutions on one static graph (ACT; after Point-BERT's dVAE).

    Unlike in Wang et al. 2019, the graph is not recomputed in feature space: it connects a patch
    with the nearest centres, for all layers. It is an argument, so two networks can share it.

    Args:
        in_dims: Width of the patches.
        out_dims: Width of the result.
        edge_dims: Width after the input and after each edge convolution.
        num_norm_groups: Groups of all norms.
    """

    num_neighbors = 4

    def __init__(
        self,
        in_dims: int,
        out_dims: int,
        *,
        edge_dims: Sequence[int] = (128, 256, 512, 512, 1024),
        num_norm_groups: int = 4,
    ):
        super().__init__()
        for width in (*edge_dims[1:], out_dims):
            if width % num_norm_groups:
                raise ValueError(
                    f'The widths of a DGCNN must be multiples of {num_norm_groups}, the number of '
                    f'groups of its norms, got {width}.'
                )
        self.input = nn.Linear(in_dims, edge_dims[0])
        self.edges = nn.ModuleList(
            EdgeConv(a, b, num_norm_groups=num_norm_groups)
            for a, b in zip(edge_dims, edge_dims[1:])
        )
        self.output = nn.Linear(sum(edge_dims[1:]), out_dims, bias=False)
        self.norm = nn.GroupNorm(num_norm_groups, out_dims)

    @classmethod
    def graph(cls, centers: Tensor) -> Tensor:
        """Indices of the nearest centres, the own one first, (B, G, 3) -> (B, G, 4)."""
        if centers.shape[1] < cls.num_neighbors:
            raise ValueError(
                f'The graph needs at least {cls.num_neighbors} patches, got '
                f'{centers.shape[1]}: raise num_groups.'
            )
        return knn(centers, centers, cls.num_neighbors).idx

    def forward(self, feats: Tensor, graph: Tensor) -> Tensor:
        """Map patches.

        Args:
            feats: (B, G, in_dims).
            graph: (B, G, k) from :meth:`graph`.

        Returns:
            (B, G, out_dims).
        """
        feats = self.input(feats)
        levels = []
        for edge in self.edges:
            feats = edge(feats, graph)
            levels.append(feats)
        feats = self.output(torch.cat(levels, dim=-1))  # (B, G, out_dims)
        feats = self.norm(feats.transpose(1, 2))
        return F.leaky_relu(feats, 0.2).transpose(1, 2)
