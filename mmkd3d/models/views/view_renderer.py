"""Render clouds as shaded or depth images on their own device."""

import math
from typing import NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.ops.projection import orthographic
from mmkd3d.ops.views import gray_depth, shade, surface_depth, turntable
from mmkd3d.registry import MODELS


class Projection(NamedTuple):
    """Points and surface in V views, all in pixels.

    Attributes:
        uv: (B, V, M, 2) column and row of the points.
        depth: (B, V, M) of the points.
        surface: (B, V, H, W) depth of the surface, ``inf`` in the background.
    """

    uv: Tensor
    depth: Tensor
    surface: Tensor


@MODELS.register_module()
class ViewRenderer(nn.Module):
    """Render clouds as gray surfaces from cameras around the +y axis.

    The views are orthographic, evenly spaced over the full turn, and scaled
    to the cloud. Use dense clouds (2,048 points give closed surfaces) without
    augmentation: image teachers were trained on upright objects.

    Args:
        num_views: V.
        size: H = W, in pixels.
        style: 'shaded', a gray object under one light; or 'depth', from 1
            (nearest) to 0.1 (farthest).
        azimuth: Of the first camera, radians; 0 looks along -z.
        elevation: Height of the cameras above the horizon, radians.
        random: Rotate the cameras by a new random angle for each cloud.
        background: Gray value of the background; default white for 'shaded'
            and black for 'depth'.
        radius: Half the width of a point, relative to ``size``.
        fill: Half the width of closed gaps and smoothing length of the
            surface, in units of ``size / sqrt(M)``, the typical distance of M
            points.
        margin: Width of the empty border, relative to ``size``.

    Raises:
        ValueError: An unknown style, or less than one view.
    """

    def __init__(
        self,
        num_views: int = 1,
        size: int = 224,
        *,
        style: str = 'shaded',
        azimuth: float = 0.6,
        elevation: float = 0.35,
        random: bool = False,
        background: float | None = None,
        radius: float = 0.01,
        fill: float = 1.25,
        margin: float = 0.05,
    ):
        super().__init__()
        if style not in ('shaded', 'depth'):
            raise ValueError(f"ViewRenderer: style is 'shaded' or 'depth', got {style!r}.")
        if num_views < 1:
            raise ValueError(f'ViewRenderer: num_views must be at least 1, got {num_views}.')
        self.num_views, self.size, self.style = num_views, size, style
        self.azimuth, self.elevation = azimuth, elevation
        self.random = random
        if background is None:
            background = 1.0 if style == 'shaded' else 0.0
        self.background = background
        self.radius, self.fill = round(radius * size), fill
        self.margin = margin * size + self.radius

    @torch.no_grad()
    def project(self, points: Tensor, view_idx: Tensor | None = None) -> Projection:
        """Project points and compute the depth of their surface.

        Args:
            points: (B, M, 3).
            view_idx: (B, W) long, indices of the requested views, or (B,) for
                one view; None: all.
        """
        B, V = len(points), self.num_views
        azimuth = torch.arange(V, device=points.device) * (2 * math.pi / V)
        azimuth = (azimuth + self.azimuth).expand(B, V)
        if view_idx is not None:
            azimuth = azimuth.gather(1, view_idx.view(B, -1))
            V = azimuth.shape[1]
        if self.random:
            azimuth = azimuth + 2 * math.pi * torch.rand(B, 1, device=points.device)
        uv, depth = orthographic(
            points.repeat_interleave(V, dim=0),
            self.size,
            rotation=turntable(azimuth, self.elevation).flatten(0, 1),
            margin=self.margin,
            depth_in_pixels=True,
        )
        fill = round(self.fill * self.size / math.sqrt(points.shape[1]))
        surface = surface_depth(uv, depth, self.size, radius=self.radius, fill=fill)
        return Projection(*(x.unflatten(0, (B, V)) for x in (uv, depth, surface)))

    @torch.no_grad()
    def forward(self, points: Tensor, view_idx: Tensor | None = None) -> Tensor:
        """Render points; see ``project`` for the arguments.

        Returns:
            (B, V, 3, H, W) float32 in [0, 1] with three equal channels. A
            cloud of coinciding points is a dot in the middle.
        """
        return self.paint(self.project(points, view_idx))

    @torch.no_grad()
    def paint(self, projection: Projection) -> Tensor:
        """Images (B, V, 3, H, W) of a projection."""
        _, depth, surface = (x.flatten(0, 1) for x in projection)
        gray = shade(surface) if self.style == 'shaded' else gray_depth(surface, depth)
        gray = gray.where(surface.isfinite(), self.background)
        gray = gray.unflatten(0, projection.surface.shape[:2])
        return gray[:, :, None].expand(-1, -1, 3, -1, -1)
