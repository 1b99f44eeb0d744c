"""Base class of the students."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.datasets.coordinates import is_transposed
from mmkd3d.ops import three_interpolate
from mmkd3d.ops.exporting import is_exporting

from ..layers.patches import Patches
from ..layers.strict_init import StrictInitModule
from . import LEVELS

MAX_FEATURE = 10.0  # of a point; colours from 0 to 255 exceed it


class BasePointBackbone(StrictInitModule):
    """Base of the students, which map a point cloud to tokens.

    Subclasses set ``embed_dims`` and ``group``, a :class:`PatchGroup`, and implement ``encode``,
    ``random_init`` and ``truncate``; also ``get_layer_depth`` if they are not a stack of
    ``blocks`` before a ``norm``.

    Attributes:
        in_channels: Channels that are read of a point: xyz, then features.
        num_levels: Levels of a hierarchical student, whose ``group`` returns a list of patches;
            0 if patches have one size.
        num_towers: Number of networks that are trained by different losses.
    """

    prefix = 'backbone.'
    in_channels = 3
    num_levels = 0
    num_towers = 1
    embed_dims: int
    group: nn.Module

    def __init__(self, init_cfg: dict | None = None):
        super().__init__(init_cfg)

    def random_init(self) -> None:
        """Initialise as in the published code."""
        raise NotImplementedError

    def encode(
        self, patches: Patches, mask: Tensor | None = None, raw_indices: Sequence[int] = ()
    ) -> dict:
        """Encode the visible patches, see :class:`PointTransformer`.

        If the tokens are not those of the patches, the result has their ``centers`` and
        ``center_idx``, too.
        """
        raise NotImplementedError

    def forward(self, points: Tensor) -> dict:
        """Encode whole clouds.

        Args:
            points: (B, N, in_channels or more), coordinates first; further channels are ignored.

        Returns:
            dict: The result of ``encode``, with at least ``tokens`` (B, G, C) and ``cls_token``
            (B, C) or None; also ``centers`` (B, G, 3) in the coordinates of the input,
            ``center_idx`` (B, G), ``points`` (B, N, 3) and ``features`` (B, N, F), F =
            ``in_channels`` - 3.
        """
        points = self.read(points)
        patches = self.group(points)
        centers = dict(centers=patches.centers, center_idx=patches.center_idx)
        return dict(
            centers | self.encode(patches),
            points=points[..., :3].contiguous(),
            features=points[..., 3:],
        )

    def read(self, points: Tensor) -> Tensor:
        """Check points and select the channels of the student, (B, N, in_channels).

        An exported student does not check values.

        Raises:
            ValueError: The points are not (B, N, C) or transposed, have too few channels, are
                not finite, or have features of another scale.
        """
        if points.ndim != 3 or is_transposed(*points.shape[1:]):
            raise ValueError(
                f'{type(self).__name__} needs points (B, N, C), one per row, got shape '
                f'{tuple(points.shape)}: give points[None] for one cloud, and '
                'points.transpose(1, 2) for clouds (B, C, N).'
            )
        channels = points.shape[2]
        if channels < self.in_channels:
            raise ValueError(
                f'{type(self).__name__} has in_channels={self.in_channels}, got points of '
                f'{channels} channels: load their colours (use_dim=[0, 1, 2, 3, 4, 5]), or set '
                'in_channels=3.'
            )
        points = points[..., : self.in_channels].contiguous()
        if not is_exporting():
            self._check_values(points)
        return points

    def _check_values(self, points: Tensor) -> None:
        finite = points.sum(dim=(1, 2)).isfinite()
        if not finite.all():
            raise ValueError(
                f'Cloud {int(finite.logical_not().nonzero()[0])} of the batch '
                'has points that are not finite: repair its file, or drop them in the pipeline.'
            )
        features = points[..., 3:]
        if features.numel() and features.abs().max() > MAX_FEATURE:
            raise ValueError(
                f'Features of points should be in about [0, 1], got {features.abs().max():.4g}: '
                "divide colours by 255 (dict(type='NormalizePointsColor', color_mean=None)) in "
                'training and test.'
            )

    def truncate(self, layer: int) -> None:
        """Remove the layers after ``layer``, in place; the final norm stays.

        Args:
            layer: Index of a block, for :class:`PointM2AE` of a level; from the last one if
                negative.

        Raises:
            ValueError: There is no such layer.
        """
        raise NotImplementedError

    def get_layer_depth(self, name: str, prefix: str = '') -> tuple[int, int]:
        """Depth of a parameter, for layer-wise learning rates.

        Args:
            name: Full name of the parameter.
            prefix: Prefix of the names of this module, e.g. ``'backbone.'``.

        Returns:
            The layer of the parameter, 0 for the embeddings, and the number of layers.
        """
        num_layers = len(self.blocks) + 2
        name = name.removeprefix(prefix)
        if name.startswith('blocks.'):
            return int(name.split('.')[1]) + 1, num_layers
        if name.startswith('norm.'):
            return num_layers - 1, num_layers
        return 0, num_layers

    def extract_feat(
        self, points: Tensor, level: str = 'global', at: Tensor | None = None
    ) -> Tensor:
        """Extract features for probes and retrieval.

        Args:
            points: (B, N, 3+F).
            level: ``'global'``: (B, 2C), class token (mean token if there is none) and maximum
                over tokens. ``'token'``: (B, G, C). ``'point'``: (B, N, C), interpolated from the
                three nearest centres by inverse squared distance.
            at: (B, M, 3), positions for level ``'point'`` other than the points: (B, M, C).
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
        at = out['points'] if at is None else at
        return three_interpolate(at, out['centers'], tokens, squared=True)


def find_layer(layer: int, count: int, what: str) -> int:
    """Convert a layer index that may be negative; ``ValueError`` if it is out of range."""
    if not -count <= layer < count:
        raise ValueError(
            f'There is no layer {layer}: the student has {count} '
            f'{what}, 0 to {count - 1} or -{count} to -1.'
        )
    return layer % count
