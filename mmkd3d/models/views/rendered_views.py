"""Renderings of shapes, loaded with the samples or drawn on the fly."""

import torch
from torch import Tensor

from mmkd3d.ops import visible
from mmkd3d.registry import MODELS
from mmkd3d.utils.samples import sample_names, stack_field

from .base import BaseViews, Views

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
