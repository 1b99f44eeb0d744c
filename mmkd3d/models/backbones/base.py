"""What every student has in common."""
from typing import Optional, Sequence

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.ops import three_interpolate

from ..modules.patch_group import Patches
from ..modules.strict_init import StrictInitModule

LEVELS = ('global', 'token', 'point')


class BasePointBackbone(StrictInitModule):
    """A point-cloud student: tokens out, no mask, no loss, no teacher.

    Subclasses set ``embed_dims`` and ``group``, a :class:`PatchGroup`, and
    write ``encode``, ``random_init`` and ``get_layer_depth``.
    """

    prefix = 'backbone.'
    embed_dims: int
    group: nn.Module

    def __init__(self, init_cfg: Optional[dict] = None):
        super().__init__(init_cfg)

    def random_init(self) -> None:
        """Initialise as the published students are."""
        raise NotImplementedError

    def encode(self,
               patches: Patches,
               mask: Optional[Tensor] = None,
               raw_indices: Sequence[int] = ()) -> dict:
        """Run on the visible patches, see :class:`PointTransformer`."""
        raise NotImplementedError

    def forward(self, points: Tensor) -> dict:
        """Encode whole clouds.

        Args:
            points: (B, N, 3+F); coordinates first, features are not read.

        Returns:
            dict: What ``encode`` returns, with ``tokens`` (B, G, C) and
            ``cls_token`` (B, C) or None at least; and ``centers`` (B, G, 3)
            in the coordinates of the input, ``center_idx`` (B, G), ``points``
            (B, N, 3).
        """
        points = points[..., :3].contiguous()
        patches = self.group(points)
        return dict(
            self.encode(patches),
            centers=patches.centers,
            center_idx=patches.center_idx,
            points=points)

    def extract_feat(self, points: Tensor, level: str = 'global') -> Tensor:
        """Features for probes and retrieval.

        Args:
            points: (B, N, 3+F).
            level: ``'global'``: (B, 2C), class token (or mean token, where
                there is none) and maximum over tokens. ``'token'``:
                (B, G, C). ``'point'``: (B, N, C), interpolated from the three
                nearest centres by inverse squared distance.
        """
        if level not in LEVELS:
            raise ValueError(f'level is one of {LEVELS}, got {level!r}.')
        out = self(points)
        tokens = out['tokens']
        if level == 'global':
            first = out['cls_token']
            first = tokens.mean(dim=1) if first is None else first
            return torch.cat([first, tokens.amax(dim=1)], dim=-1)
        if level == 'token':
            return tokens
        return three_interpolate(
            out['points'], out['centers'], tokens, squared=True)
