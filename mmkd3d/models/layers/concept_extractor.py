"""Concepts out of a cloud, by cross-attention."""

import torch
import torch.nn as nn
from timm.layers import Mlp
from torch import Tensor

from mmkd3d.registry import MODELS

from .strict_init import StrictInitModule
from .transformer import init_transformer, position_mlp

QUERY_SOURCES = ('learned', 'teacher')


class ConceptLayer(nn.Module):
    """Decoder layer, pre-norm, whose values know nothing of positions.

    Args:
        embed_dims: Width, C.
        num_heads: Attention heads.
        residual: Keep the queries beside what they find. Without, what comes
            out is made of values alone.
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
        """Queries (B, M, C) read tokens (B, G, C) at positions (B, G, C)."""
        x = self.norm1(queries)
        queries = queries + self.self_attn(x, x, x, need_weights=False)[0]
        values = self.norm_tokens(tokens)
        found, _ = self.cross_attn(self.norm2(queries), values + pos, values, need_weights=False)
        queries = queries + found if self.residual else found
        return queries + self.mlp(self.norm3(queries))


@MODELS.register_module()
class ConceptExtractor(StrictInitModule):
    """Queries that take concept features out of a point cloud (DC-3).

    The paper (arXiv 2212.08974) says that cross-attention does it; all else
    is ours: the number of queries, what they are, where they attend. Queries
    attend to each other, then to the tokens: the keys are told the positions,
    the values are not.

    Args:
        embed_dims: Width of the tokens, C.
        num_concepts: Number of queries, M.
        num_layers: Number of layers.
        num_heads: Attention heads.
        query_source: ``'learned'``: M vectors, the same for all clouds.
            ``'teacher'``: what the teacher says of the images of the cloud.
            Then there is no residual around the first cross-attention, or the
            answer would be in the question: the queries only weigh what is
            taken from the cloud. Without images, and in place of some of the
            teacher's, the learned vectors ask.
        teacher_dims: Width of the teacher's features, D.
        drop_queries: Share of the teacher's queries that are replaced in
            training.
        detach_tokens: Do not train the student through the concepts.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` or None.

    Raises:
        ValueError: An unknown source, no width for the teacher's queries, no
            layer, no concept, or a share that is none.
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
                'num_layers is at least 1, or the concepts know '
                'nothing of the cloud, and so is num_concepts; '
                f'got {num_layers} and {num_concepts}.'
            )
        if not 0 <= drop_queries <= 1:
            raise ValueError(f'drop_queries is a share, in [0, 1], got {drop_queries}.')
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
        """Truncated normal, std 0.02; biases 0."""
        init_transformer(self)
        nn.init.trunc_normal_(self.queries, std=0.02)

    def forward(self, tokens: Tensor, centers: Tensor, seen: Tensor | None = None) -> Tensor:
        """Concepts (B, M, C) of clouds.

        Args:
            tokens: (B, G, C) of the student.
            centers: (B, G, 3) of their patches.
            seen: (B, M, D), what the teacher says. Only the teacher's queries
                read it; None: the learned ones ask.

        Raises:
            ValueError: ``seen`` has another shape.
        """
        if self.detach_tokens:
            tokens = tokens.detach()
        pos = self.pos_embed(centers)
        x = self.ask(len(tokens), seen)
        for layer in self.layers:
            x = layer(x, tokens, pos)
        return self.norm(x)

    def ask(self, batch_size: int, seen: Tensor | None) -> Tensor:
        """The queries (B, M, C); ``seen`` is (B, M, D) or None."""
        learned = self.queries.expand(batch_size, -1, -1)
        if self.to_queries is None or seen is None:
            return learned
        expected = (*learned.shape[:2], self.to_queries.in_features)
        if seen.shape != expected:
            raise ValueError(
                f"With query_source='teacher' every concept of {batch_size} "
                f'clouds asks with a feature of the teacher, {expected}; got '
                f'{tuple(seen.shape)}. Set num_concepts to the number of '
                'features of each cloud, teacher_dims to their width.'
            )
        given = self.to_queries(seen)
        if not self.training:
            return given
        dropped = torch.rand(given.shape[:2], device=given.device)
        return learned.where(dropped[..., None] < self.drop_queries, given)


def make_head(width: int, dims: int, hidden: int | None) -> nn.Module:
    """What leads concepts to the teacher: linear, or with a hidden layer.

    DC-3.
    """
    if hidden is None:
        return nn.Linear(width, dims)
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, dims))
