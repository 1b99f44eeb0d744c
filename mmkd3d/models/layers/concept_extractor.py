"""Extract concepts from a point cloud by cross-attention."""

import torch
import torch.nn as nn
from timm.layers import Mlp
from torch import Tensor

from mmkd3d.registry import MODELS

from .strict_init import StrictInitModule
from .transformer import init_transformer, position_mlp

QUERY_SOURCES = ('learned', 'teacher')


class ConceptLayer(nn.Module):
    """Pre-norm decoder layer whose values have no position embedding.

    Args:
        embed_dims: Width, C.
        num_heads: Attention heads.
        residual: Add the queries to the output of the cross-attention; without it, the output
            depends on the values alone.
    """

    def __init__(self, embed_dims: int, num_heads: int, residual: bool = True):
        super().__init__()
        self.residual = residual
        self.norm1 = nn.LayerNorm(embed_dims)
        self.self_attn = nn.MultiheadAttention(embed_dims, num_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.norm_tokens = nn.LayerNorm(embed_dims)
        self.cross_attn = nn.MultiheadAttention(embed_dims, num_heads, batch_first=True)
        self.norm3 = nn.LayerNorm(embed_dims)
        self.mlp = Mlp(embed_dims, 4 * embed_dims)

    def forward(self, queries: Tensor, tokens: Tensor, pos: Tensor) -> Tensor:
        """Update queries (B, M, C) from tokens and their position embedding (B, G, C)."""
        x = self.norm1(queries)
        queries = queries + self.self_attn(x, x, x, need_weights=False)[0]
        values = self.norm_tokens(tokens)
        found, _ = self.cross_attn(self.norm2(queries), values + pos, values, need_weights=False)
        queries = queries + found if self.residual else found
        return queries + self.mlp(self.norm3(queries))


@MODELS.register_module()
class ConceptExtractor(StrictInitModule):
    """Queries that extract concept features from a point cloud (DC-3).

    The abstract of the paper (arXiv 2212.08974) names cross-attention; the rest is our choice.
    Queries attend to each other, then to the tokens. Keys have a position embedding, values do
    not.

    Args:
        embed_dims: Width of the tokens, C.
        num_concepts: Number of queries, M.
        num_layers: Number of layers.
        num_heads: Attention heads.
        query_source: ``'learned'``: M vectors, the same for all clouds. ``'teacher'``: projected
            features of the teacher for the images of the cloud. Then the first cross-attention
            has no residual: the queries would carry the target to the output. The learned vectors
            replace some of the teacher's queries in training, and all of them without images.
        teacher_dims: Width of the teacher's features, D.
        drop_queries: Share of the teacher's queries that are replaced in training.
        detach_tokens: Stop the gradient of the concepts at the tokens.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` or None.

    Raises:
        ValueError: An argument is out of its range, or ``teacher_dims`` is missing.
    """

    prefix = 'extractor.'

    def __init__(
        self,
        embed_dims: int = 384,
        *,
        num_concepts: int = 16,
        num_layers: int = 2,
        num_heads: int = 6,
        query_source: str = 'learned',
        teacher_dims: int | None = None,
        drop_queries: float = 0.5,
        detach_tokens: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if query_source not in QUERY_SOURCES:
            raise ValueError(f'query_source is one of {QUERY_SOURCES}, got {query_source!r}.')
        if query_source == 'teacher' and not teacher_dims:
            raise ValueError(
                "query_source='teacher' needs teacher_dims, the width of the teacher's features."
            )
        if num_layers < 1 or num_concepts < 1:
            raise ValueError(
                f'num_layers and num_concepts must be at least 1, got {num_layers} and '
                f'{num_concepts}.'
            )
        if not 0 <= drop_queries <= 1:
            raise ValueError(f'drop_queries must be in [0, 1], got {drop_queries}.')
        self.embed_dims, self.num_concepts = embed_dims, num_concepts
        self.query_source = query_source
        self.drop_queries, self.detach_tokens = drop_queries, detach_tokens
        self.queries = nn.Parameter(torch.zeros(num_concepts, embed_dims))
        self.pos_embed = position_mlp(embed_dims)
        learned = query_source == 'learned'
        self.to_queries = None if learned else nn.Linear(teacher_dims, embed_dims)
        self.layers = nn.ModuleList(
            ConceptLayer(embed_dims, num_heads, residual=learned or i > 0)
            for i in range(num_layers)
        )
        self.norm = nn.LayerNorm(embed_dims)
        self.random_init()

    def random_init(self) -> None:
        """Initialise weights by a truncated normal, std 0.02, and biases by 0."""
        init_transformer(self)
        nn.init.trunc_normal_(self.queries, std=0.02)

    def forward(self, tokens: Tensor, centers: Tensor, target: Tensor | None = None) -> Tensor:
        """Extract concepts.

        Args:
            tokens: (B, G, C) of the student.
            centers: (B, G, 3) of their patches.
            target: (B, M, D), features of the teacher, which are used as queries if
                ``query_source='teacher'``; None: the learned queries are used.

        Returns:
            (B, M, C).

        Raises:
            ValueError: ``target`` has another shape.
        """
        if self.detach_tokens:
            tokens = tokens.detach()
        pos = self.pos_embed(centers)
        x = self.make_queries(len(tokens), target)
        for layer in self.layers:
            x = layer(x, tokens, pos)
        return self.norm(x)

    def make_queries(self, batch_size: int, target: Tensor | None) -> Tensor:
        """Queries (B, M, C), from ``target`` (B, M, D) if that is given."""
        learned = self.queries.expand(batch_size, -1, -1)
        if self.to_queries is None or target is None:
            return learned
        expected = (*learned.shape[:2], self.to_queries.in_features)
        if target.shape != expected:
            raise ValueError(
                f"With query_source='teacher', target must be {expected}, got "
                f'{tuple(target.shape)}: set num_concepts to the number of features of each '
                'cloud, teacher_dims to their width.'
            )
        queries = self.to_queries(target)
        if not self.training:
            return queries
        dropped = torch.rand(queries.shape[:2], device=queries.device)
        return learned.where(dropped[..., None] < self.drop_queries, queries)


def make_head(width: int, dims: int, hidden: int | None) -> nn.Module:
    """Head from concepts to the space of the teacher, linear or with a hidden layer (DC-3)."""
    if hidden is None:
        return nn.Linear(width, dims)
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, dims))
