"""Pictures of clouds for image teachers, rendered on the model's device."""

import math
from typing import NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.ops.projection import orthographic
from mmkd3d.ops.views import gray_depth, shade, surface_depth, turntable
from mmkd3d.registry import MODELS


class Views(NamedTuple):
    """Points in V views, all in pixels: uv (B, V, M, 2), depth (B, V, M);
    image (B, V, H, W), the depth of the surface, ``inf`` where none is."""

    uv: Tensor
    depth: Tensor
    image: Tensor


@MODELS.register_module()
class ViewRenderer(nn.Module):
    """Draw clouds as grey surfaces, seen from cameras around the +y axis.

    The views are orthographic, evenly spaced over the full turn, and each is
    filled by the cloud. Give it clouds that are dense (2,048 points make
    closed surfaces) and not augmented: a teacher knows objects that stand
    upright.

    Args:
        num_views: V.
        size: H = W, in pixels.
        style: 'shaded', a grey object under one light; or 'depth', 1 nearest
            to 0.1 farthest.
        azimuth: Of the first camera, radians; 0 looks along -z.
        elevation: Height of the cameras above the horizon, radians.
        random: Turn the cameras by a random angle, for each cloud anew, with
            torch's generator of the device of the points.
        background: Grey around the object; None is white for 'shaded' and
            black for 'depth'.
        radius: Half the width of a point, as a share of ``size``.
        fill: Half the width of the gaps that are closed and length over
            which the surface is smoothed, in units of ``size / sqrt(M)``,
            about the distance between M points.
        margin: Width left free on each side, as a share of ``size``.

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
    def project(self, points: Tensor, view_idx: Tensor | None = None) -> Views:
        """Where ``points`` (B, M, 3) are seen, and the surface they form.

        With ``view_idx`` (B, W) long, in these views of each cloud alone, or
        with (B,) in one: V is W, or 1.
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
        image = surface_depth(uv, depth, self.size, radius=self.radius, fill=fill)
        return Views(*(x.unflatten(0, (B, V)) for x in (uv, depth, image)))

    @torch.no_grad()
    def forward(self, points: Tensor, view_idx: Tensor | None = None) -> Tensor:
        """Draw ``points`` (B, M, 3), with ``view_idx`` as in ``project``.

        Returns:
            (B, V, 3, H, W) float32 in [0, 1], three equal channels, on the
            device of the points. Where all points of a cloud coincide, a dot
            in the middle.
        """
        return self.paint(self.project(points, view_idx))

    @torch.no_grad()
    def paint(self, views: Views) -> Tensor:
        """Grey pictures of what ``project`` found, as of ``forward``."""
        _, depth, image = (x.flatten(0, 1) for x in views)
        gray = shade(image) if self.style == 'shaded' else gray_depth(image, depth)
        gray = gray.where(image.isfinite(), self.background)
        gray = gray.unflatten(0, views.image.shape[:2])
        return gray[:, :, None].expand(-1, -1, 3, -1, -1)
