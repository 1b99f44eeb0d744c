"""Views, teacher and mask of I2P-MAE as implemented in its published code.

See :mod:`.published`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.models.maskers.saliency import SaliencyMasker
from mmkd3d.models.targets.dense import DenseTarget, ViewFeatures
from mmkd3d.models.views.axis_projector import FREE, VIEWS, AxisProjector, Frame


class PublishedAxisProjector(AxisProjector):
    """Renders one view at a time, three equal channels, from 25 copies of every point."""

    def forward(self, points: Tensor) -> tuple[tuple, tuple]:
        """Images (B, 3, H, W) and frames of each view of points (B, N, 3)."""
        points = points.float()
        return tuple(zip(*(self.draw(points[..., view]) for view in VIEWS)))

    def draw(self, points: Tensor) -> tuple[Tensor, Frame]:
        """Render one view of points (B, N, 3), given as row, column and value."""
        plane, values = points[..., :2], points[..., 2:]
        low = plane.amin(1, keepdim=True)  # (B, 1, 2)
        extent = plane.amax(1, keepdim=True) - low
        cell = extent.amax(2) / (self.size - FREE)  # (B, 1)
        cells = ((plane - low) / cell[..., None]).floor()
        steps = torch.arange(-self.radius, self.radius + 1, device=points.device)
        steps = torch.cartesian_prod(steps, steps)  # (25, 2)
        dense = (cells[:, :, None] + steps + 1).flatten(1, 2)
        middle = dense.amax(1, keepdim=True) + dense.amin(1, keepdim=True)
        offset = self.size // 2 - (middle / 2).floor() - 1
        dense = (dense + offset).long().clamp(0, self.size - 1)
        index = dense[..., 0] * self.size + dense[..., 1]  # (B, 25N)
        values = values.expand(-1, -1, len(steps)).flatten(1)[..., None]
        sums = points.new_zeros(len(points), self.size**2, 3).scatter_add(
            1, index[..., None].expand(-1, -1, 3), values.expand(-1, -1, 3)
        )
        images = sums.sigmoid().mT.unflatten(2, (self.size, self.size))
        return images, Frame(low, cell, offset)

    def read(self, maps: Tensor, positions: Tensor, frame: Frame) -> Tensor:
        """Resize the maps of one view and sample them at positions.

        Args:
            maps: (B, C, h, w).
            positions: (B, M, 2), row and column.
            frame: Frame of the view.

        Returns:
            (B, C, M).
        """
        maps = F.interpolate(maps, (self.size, self.size), mode='bicubic')
        pixels = (positions.float() - frame.low) / frame.cell[..., None]
        row, column = (pixels.floor() + 1 + frame.offset).long().unbind(-1)
        index = (row * self.size + column)[:, None]
        return maps.flatten(2).gather(2, index.expand(-1, maps.shape[1], -1))


class PublishedDenseTarget(DenseTarget):
    """Renders all clouds at once, and resizes maps to the images."""

    @torch.no_grad()
    def forward_views(self, points, data_samples=None):
        images, frames = self.projector(points)
        with self.autocast(points.device):
            maps = self.teacher.forward_dense(torch.cat(images))  # of 3B images
        feats, saliency = (maps[name].float().chunk(len(frames)) for name in ('feats', 'saliency'))
        return ViewFeatures(feats, saliency, frames)

    @torch.no_grad()
    def features_at(self, seen, positions):
        feats = self._read(seen.feats, seen, positions)
        return torch.cat(feats, dim=1).transpose(1, 2)

    @torch.no_grad()
    def saliency_at(self, seen, positions):
        maps = [saliency[:, None] for saliency in seen.saliency]
        return torch.cat(self._read(maps, seen, positions), dim=1).mean(1)

    def _read(self, maps, seen, positions):
        """Sampled maps (B, C, M) of each view."""
        return [
            self.projector.read(of_view, positions[..., view[:2]], frame)
            for of_view, view, frame in zip(maps, VIEWS, seen.frame)
        ]


class PublishedSaliencyMasker(SaliencyMasker):
    """Draws visible patches with ``torch.multinomial`` without replacement."""

    def forward(self, centers, *, scores, **unused):
        B, G, _ = centers.shape
        order = torch.multinomial(scores.softmax(1), G)
        mask = torch.ones(B, G, dtype=torch.bool, device=centers.device)
        return mask.scatter(1, order[:, : G - int(self.ratio * G)], False)


VIEW_FORMS = (PublishedAxisProjector, PublishedDenseTarget, PublishedSaliencyMasker)
