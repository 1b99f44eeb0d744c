"""Photographs of a scan with known camera poses."""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import torch
from torch import Tensor
from torch.nn import functional as F

from mmkd3d.ops import frame_visibility
from mmkd3d.registry import MODELS

from .base import BaseViews, Views, take_views


@MODELS.register_module()
class PosedFrames(BaseViews):
    """Frames loaded by :class:`LoadPosedFrames`.

    Takes the first V frames of each sample. Missing frames are black images
    without visible points. A point is visible if its depth agrees with the
    depth measured at its pixel; pixels without a measurement show no points.
    A frame without any depth (``without_depth='keep'``) shows all points
    inside of it and is foreground everywhere.

    Args:
        num_views: V.
        tolerance: Maximum difference of depths, in metres of the room; scaled
            with the cloud by the augmentation.
        size: H and W of the loaded images.
    """

    random = True  # the frames are chosen at random when they are loaded

    def __init__(
        self, num_views: int, *, tolerance: float = 0.05, size: Sequence[int] = (240, 320)
    ):
        super().__init__()
        self.num_views = num_views
        self.tolerance = tolerance
        self.size = tuple(size)

    def forward(
        self,
        points: Tensor,
        data_samples: list | None = None,
        *,
        at: Tensor | None = None,
        view_idx: Tensor | None = None,
    ) -> Views:
        """See :class:`BaseViews`; pixels with a measured depth are foreground.

        Raises:
            ValueError: No samples, or images of another size.
        """
        if data_samples is None:
            raise ValueError('PosedFrames needs data_samples, which contain the frames.')
        device, num_images = points.device, len(data_samples) * self.num_views
        images = torch.zeros(num_images, 3, *self.size, device=device)
        foreground = torch.zeros(num_images, *self.size, dtype=torch.bool, device=device)
        uv = visible = None
        if at is not None:
            uv = torch.full((num_images, at.shape[1], 2), -torch.inf, device=device)
            visible = torch.zeros(uv.shape[:2], dtype=torch.bool, device=device)
        frames = self._frames(data_samples, device)
        if frames is not None:
            images[frames.slot] = frames.image.float() / 255
            foreground[frames.slot] = self._measured(frames.depth)
            if at is not None:
                uv[frames.slot], visible[frames.slot] = frame_visibility(
                    at[frames.slot // self.num_views],
                    frames.extrinsic,
                    frames.intrinsic,
                    frames.depth,
                    self.size,
                    frames.tolerance,
                )
        views = (
            x if x is None else x.unflatten(0, (-1, self.num_views))
            for x in (images, foreground, uv, visible)
        )
        return Views(*(take_views(x, view_idx) for x in views))

    def _measured(self, depth: Tensor) -> Tensor:
        """(P, H, W) bool of depth (P, h, w)."""
        measured = depth > 0
        measured = measured | ~measured.flatten(1).any(1)[:, None, None]
        return _resize(measured.float(), self.size) > 0

    def _frames(self, data_samples: list, device: torch.device) -> Optional['_Frames']:
        """The first V frames of all samples; None if there are none."""
        V = self.num_views
        found = [
            (i * V, s.frames) for i, s in enumerate(data_samples) if s.get('frames') is not None
        ]
        if not found:
            return None
        counts = [min(len(f), V) for _, f in found]
        sizes = {tuple(f.image.shape[-2:]) for _, f in found}
        if sizes != {self.size}:
            raise ValueError(
                f'PosedFrames got images of {sorted(sizes)}, expected {self.size}. '
                'Give LoadPosedFrames and PosedFrames the same size.'
            )
        depth = [f.depth[:V] for _, f in found]
        largest = max(d.shape[-2:] for d in depth)
        depth = [d if d.shape[-2:] == largest else _resize(d, largest) for d in depth]
        image, extrinsic, intrinsic = (
            torch.cat([f[key][:V] for _, f in found]).to(device)
            for key in ('image', 'extrinsic', 'intrinsic')
        )
        slot = torch.cat([begin + torch.arange(n) for (begin, _), n in zip(found, counts)])
        scale = torch.tensor([f.get('scale', 1.0) for _, f in found])
        tolerance = (self.tolerance * scale).repeat_interleave(torch.tensor(counts))
        return _Frames(
            image,
            torch.cat(depth).to(device),
            extrinsic,
            intrinsic,
            slot.to(device),
            tolerance.to(device),
        )


class _Frames(NamedTuple):
    """P frames: image (P, 3, H, W) uint8, depth (P, h, w), extrinsic
    (P, 4, 4), intrinsic (P, 3, 3), slot (P,) in B * V, tolerance (P,)."""

    image: Tensor
    depth: Tensor
    extrinsic: Tensor
    intrinsic: Tensor
    slot: Tensor
    tolerance: Tensor


def _resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Resize maps (P, h, w) to (P, H, W) by nearest neighbours."""
    return F.interpolate(maps[:, None], tuple(size), mode='nearest-exact')[:, 0]
