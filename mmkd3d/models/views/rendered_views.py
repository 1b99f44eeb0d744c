"""Views of shapes: images that come with the samples, or rendered from the clouds."""

import math
from typing import NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.ops import visible
from mmkd3d.ops.projection import orthographic
from mmkd3d.ops.views import gray_depth, shade, surface_depth, turntable
from mmkd3d.registry import MODELS
from mmkd3d.utils.samples import sample_names, stack_field

from .base import BaseViews, Views


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


LOAD = "Put dict(type='LoadRendering', ...) and dict(type='AugmentRendering') in the pipeline"
KEEP = (
    "Put dict(type='KeepViewPoints') in the pipeline, after the deterministic "
    'steps and before the first random one'
)
Z_TO_Y_UP = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


@MODELS.register_module()
class RenderedViews(BaseViews):
    """Images of shapes from outside (concept distillation, DC-4; ReCon).

    Without a renderer the images are the field ``image`` of the samples,
    (3, H, W) or (V, 3, H, W), with a fourth channel if alpha is known. With a
    renderer they are views of the ``view_points`` of the samples. Samples
    without ``view_points`` are drawn from the points of the batch, so that
    the views follow the augmentation.

    Args:
        renderer: Config of a renderer, such as :class:`ViewRenderer`, with
            ``project(points, view_idx)`` and ``paint(projection)``.
        num_views: V, images per sample; with a renderer its own number.
        up_axis: ``'y'``, or ``'z'`` for points in the frame of
            mmdetection3d's rooms. ``view_points`` are always y up.
        tolerance: Maximum distance of a visible point behind the rendered
            surface, in pixels.

    Raises:
        ValueError: An unknown axis, or ``num_views`` differs from that of the
            renderer.
    """

    def __init__(
        self,
        renderer: dict | None = None,
        *,
        num_views: int | None = None,
        up_axis: str = 'y',
        tolerance: float = 4.0,
    ):
        super().__init__()
        if up_axis not in ('y', 'z'):
            raise ValueError(f"up_axis is 'y' or 'z', got {up_axis!r}.")
        self.renderer = MODELS.build(renderer) if renderer else None
        self.num_views = num_views or 1
        self.field = 'view points' if renderer else 'images'
        self.hint = KEEP if renderer else LOAD
        if renderer:
            self.random = getattr(self.renderer, 'random', False)
            self.num_views = self.renderer.num_views
            if num_views not in (None, self.num_views):
                raise ValueError(
                    f'The renderer draws {self.num_views} views, got '
                    f'num_views={num_views}: set num_views of the renderer.'
                )
        self.up_axis = up_axis
        self.tolerance = tolerance

    def inputs(self, data_samples: list) -> Tensor | None:
        """See :class:`BaseViews`.

        Returns:
            (B, C, H, W) or (B, V, C, H, W) images; with a renderer (B, M, 3)
            points.
        """
        if self.renderer is None:
            return stack_field(data_samples, 'image', f'{self.hint}.')
        return stack_field(
            data_samples,
            'view_points',
            f'{self.hint}, and after one that gives all clouds the same size.',
        )

    @torch.no_grad()
    def render(self, inputs: Tensor, view_idx: Tensor | None = None) -> Views:
        """See :class:`BaseViews`."""
        if self.renderer is not None:
            return self._paint(self.renderer.project(inputs, view_idx))
        images = inputs[:, None] if inputs.ndim == 4 else inputs
        if images.shape[1] != self.num_views or images.shape[2] not in (3, 4):
            raise ValueError(
                f'Expected num_views={self.num_views} images with 3 or 4 channels '
                f'per sample, got {tuple(images.shape[1:])}. Set num_views to '
                'the number that LoadRendering reads.'
            )
        if view_idx is not None:
            images = images.take_along_dim(view_idx.view(*view_idx.shape, 1, 1, 1), 1)
        alpha = images[:, :, 3] > 0.5 if images.shape[2] == 4 else None
        return Views(images[:, :, :3], alpha)

    @torch.no_grad()
    def forward(
        self,
        points: Tensor,
        data_samples: list | None = None,
        *,
        at: Tensor | None = None,
        view_idx: Tensor | None = None,
    ) -> Views:
        """See :class:`BaseViews`.

        Raises:
            ValueError: No renderer and no image; or ``at`` for images that do
                not show the points of the batch.
        """
        inputs = self.inputs(data_samples) if data_samples else None
        if inputs is not None:
            if at is not None:
                raise ValueError(
                    'Points can only be located in views of the batch: remove '
                    f'{"view_points" if self.renderer else "image"} from the samples.'
                )
            return self.render(inputs, view_idx)
        if self.renderer is None:
            names = sample_names(data_samples or [])
            raise ValueError(
                f'The samples have no image ({", ".join(names[:3])}, ...). '
                f'{self.hint}, or give a renderer, which draws the clouds.'
            )
        xyz = points[..., :3]
        if at is not None:
            xyz = torch.cat([xyz, at], 1)
        if self.up_axis == 'z':
            xyz = xyz @ Z_TO_Y_UP.to(xyz)
        projection = self.renderer.project(xyz, view_idx)
        views = self._paint(projection)
        if at is None:
            return views
        uv, depth = (x[:, :, points.shape[1] :] for x in projection[:2])
        is_visible = visible(
            uv.flatten(0, 1),
            depth.flatten(0, 1),
            projection.surface.flatten(0, 1),
            tolerance=self.tolerance,
        ).view_as(depth)
        return views._replace(uv=uv, visible=is_visible)

    def _paint(self, projection) -> Views:
        return Views(self.renderer.paint(projection), projection.surface.isfinite())
