"""Renderings of shapes: pictures that come with them, or drawn views."""

import torch
from torch import Tensor

from mmkd3d.ops import visible
from mmkd3d.registry import MODELS

from ..targets.base import sample_names, stack_field
from .base import BasePairs, Pictures

LOAD = "Put dict(type='LoadRendering', ...) and dict(type='AugmentRendering') in the pipeline"
KEEP = (
    "Put dict(type='KeepViewPoints') in the pipeline, behind the steps "
    'that are always the same and before the first random one'
)
TURN = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # z up to y up


@MODELS.register_module()
class RenderedViews(BasePairs):
    """Pictures of shapes from outside (concept distillation, DC-4; ReCon).

    They are the field ``image`` of the samples: (3, H, W), or (V, 3, H, W)
    for several, with a fourth channel where alpha is known. Or, with a
    renderer, views of the ``view_points`` of the samples; samples without are
    drawn from the batch's points as they are: then the views turn with the
    augmentation.

    Args:
        renderer: Config of a renderer, such as :class:`ViewRenderer`, with
            ``project(points, view_idx)`` and ``paint(views)``.
        num_views: Pictures that come with each sample, V; with a renderer,
            as many as it draws.
        up_axis: ``'y'``, or ``'z'`` for the batch's points: rooms of
            mmdetection3d. ``view_points`` are always y up.
        tolerance: How far behind the drawn surface a place is still seen, in
            pixels.

    Raises:
        ValueError: An unknown axis, or a number of views that is not the
            renderer's.
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
        self.carries = 'view points' if renderer else 'images'
        self.way_out = KEEP if renderer else LOAD
        if renderer:
            self.random = getattr(self.renderer, 'random', False)
            self.num_views = self.renderer.num_views
            if num_views not in (None, self.num_views):
                raise ValueError(
                    f'The renderer draws {self.num_views} views, and '
                    f'num_views={num_views}: set it in the renderer.'
                )
        self.up_axis = up_axis
        self.tolerance = tolerance

    def inputs(self, data_samples: list) -> Tensor | None:
        """See :class:`BasePairs`.

        Returns:
            (B, C, H, W) or (B, V, C, H, W) pictures, or with a renderer
            (B, M, 3) points.
        """
        if self.renderer is None:
            return stack_field(data_samples, 'image', f'{self.way_out}.')
        return stack_field(
            data_samples,
            'view_points',
            f'{self.way_out}, behind one that brings all clouds to one size.',
        )

    @torch.no_grad()
    def draw(self, source: Tensor, view_idx: Tensor | None = None) -> Pictures:
        """See :class:`BasePairs`."""
        if self.renderer is None:
            return self._given(source, view_idx)
        return self._drawn(self.renderer.project(source, view_idx))

    @torch.no_grad()
    def forward(
        self,
        points: Tensor,
        data_samples: list | None = None,
        *,
        places: Tensor | None = None,
        view_idx: Tensor | None = None,
    ) -> Pictures:
        """See :class:`BasePairs`.

        Raises:
            ValueError: The samples carry no picture; or places in pictures
                that are not of the batch's own points.
        """
        source = self.inputs(data_samples) if data_samples else None
        if source is not None:
            if places is not None:
                raise ValueError(
                    'Places are found in views of the points of the batch: '
                    f'leave {"view_points" if self.renderer else "image"} out '
                    'of the samples.'
                )
            return self.draw(source, view_idx)
        if self.renderer is None:
            names = sample_names(data_samples or [])
            raise ValueError(
                f'The samples carry no image ({", ".join(names[:3])}, ...). '
                f'{self.way_out}, or give a renderer, which draws views of '
                'the clouds.'
            )
        xyz = points[..., :3]
        if places is not None:
            xyz = torch.cat([xyz, places], 1)
        if self.up_axis == 'z':
            xyz = xyz @ TURN.to(xyz)
        views = self.renderer.project(xyz, view_idx)
        pictures = self._drawn(views)
        if places is None:
            return pictures
        uv, depth = (x[:, :, points.shape[1] :] for x in views[:2])
        seen = visible(
            uv.flatten(0, 1),
            depth.flatten(0, 1),
            views.image.flatten(0, 1),
            tolerance=self.tolerance,
        ).view_as(depth)
        return pictures._replace(uv=uv, seen=seen)

    def _drawn(self, views) -> Pictures:
        return Pictures(self.renderer.paint(views), views.image.isfinite())

    def _given(self, source: Tensor, view_idx: Tensor | None) -> Pictures:
        """Pictures of samples that bring them."""
        images = source[:, None] if source.ndim == 4 else source
        if images.shape[1] != self.num_views or images.shape[2] not in (3, 4):
            raise ValueError(
                f'num_views={self.num_views} pictures with 3 or 4 channels '
                f'are expected of each sample, got {tuple(images.shape[1:])}. '
                'Set num_views to what LoadRendering reads.'
            )
        if view_idx is not None:
            images = images.take_along_dim(view_idx.view(*view_idx.shape, 1, 1, 1), 1)
        alpha = images[:, :, 3] > 0.5 if images.shape[2] == 4 else None
        return Pictures(images[:, :, :3], alpha)
