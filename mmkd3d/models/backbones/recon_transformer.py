"""The student of ReCon: local tokens, and global ones that read them."""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn as nn
from timm.models.vision_transformer import Block
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.patches import Patches
from ..layers.recon_block import ReConBlock
from .point_transformer import PointTransformer


@MODELS.register_module()
class ReConTransformer(PointTransformer):
    """Point transformer with global tokens, one for each teacher (ReCon).

    Args:
        global_tokens: Their names, in the order of the sequence. ``'cls'``
            is the class token; the others answer to a teacher.
        stop_gradient: Losses of the global tokens end at the local tokens, as
            in the published pretraining. Afterwards they pass (False).
        plain_blocks: ViT blocks, in which all tokens see each other, instead
            of ReCon-blocks: the contrastive tower of :class:`TwoTower`.
        kwargs: Of :class:`PointTransformer`, but for ``with_cls_token``.
    """

    def __init__(
        self,
        *,
        global_tokens: Sequence[str] = ('cls', 'img', 'text'),
        stop_gradient: bool = False,
        plain_blocks: bool = False,
        embed_dims: int = 384,
        **kwargs,
    ):
        names = tuple(global_tokens)
        if len(set(names)) < len(names):
            raise ValueError(f'Global tokens need different names, got {names}.')
        if plain_blocks and stop_gradient:
            raise ValueError('Plain blocks have no gradient to stop: set stop_gradient=False.')
        block = (
            Block
            if plain_blocks
            else partial(ReConBlock, num_globals=len(names), stop_gradient=stop_gradient)
        )
        super().__init__(embed_dims=embed_dims, with_cls_token=False, block=block, **kwargs)
        # From pairs: of a plain dict, torch would sort the names.
        self.global_token, self.global_pos = (
            nn.ParameterDict((name, nn.Parameter(torch.empty(1, 1, embed_dims))) for name in names)
            for _ in range(2)
        )
        self.random_init()

    @property
    def global_names(self) -> tuple:
        """Names of the global tokens, in the order of the sequence."""
        return tuple(self.global_token)

    def encode(
        self, patches: Patches, mask: Tensor | None = None, raw_indices: Sequence[int] = ()
    ) -> dict:
        """Embed all patches and run the blocks on those that are visible.

        Args:
            patches: From ``group``.
            mask: See :meth:`PointTransformer.encode`.
            raw_indices: See :meth:`PointTransformer.encode`.

        Returns:
            dict: As of :class:`PointTransformer`, and ``global_tokens``, name
            to (B, C), after the final norm; ``raw_global_tokens`` before it.
        """
        tokens, pos = self.embed(patches, mask)
        B, names = len(tokens), self.global_names
        first = len(names)
        if first:
            tokens, pos = (
                torch.cat([torch.cat([*g.values()], 1).expand(B, -1, -1), x], dim=1)
                for g, x in ((self.global_token, tokens), (self.global_pos, pos))
            )
        x, levels = self.blocks(tokens, pos, {*self.out_indices, *raw_indices})
        normed = self.norm(x)
        global_tokens = dict(zip(names, normed[:, :first].unbind(1)))
        return dict(
            tokens=normed[:, first:],
            cls_token=global_tokens.get('cls'),
            global_tokens=global_tokens,
            raw_global_tokens=dict(zip(names, x[:, :first].unbind(1))),
            levels=[self.norm(levels[i])[:, first:] for i in self.out_indices],
            raw=[levels[i][:, first:] for i in raw_indices],
        )

    def extract_feat(
        self, points: Tensor, level: str = 'global', at: Tensor | None = None
    ) -> Tensor:
        """Features for probes, see :class:`BasePointBackbone`.

        ``'global'``: (B, 2C), the maximum over the global tokens, then
        maximum plus mean over the local ones (ReCon, section 5).
        """
        if level != 'global' or not self.global_token:
            return super().extract_feat(points, level, at)
        out = self(points)
        tokens = out['tokens']
        top = torch.stack([*out['global_tokens'].values()]).amax(dim=0)
        return torch.cat([top, tokens.amax(dim=1) + tokens.mean(dim=1)], -1)
