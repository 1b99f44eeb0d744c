"""Photographs of a scan, with the poses they were taken from."""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import torch
from torch import Tensor
from torch.nn import functional as F

from mmkd3d.ops import sight
from mmkd3d.registry import MODELS

from .base import BasePairs, Pictures


@MODELS.register_module()
class PosedFrames(BasePairs):
    """The frames that :class:`LoadPosedFrames` put into the samples.

    The first V of each. Where a sample has fewer, or none, the other images
    are black and nothing is seen in them. A place is seen where the depth that
    was measured at its pixel agrees with its own; nothing is seen where
    nothing was measured. In a frame without any depth
    (``without_depth='keep'``) all places inside of it are seen, and all of it
    is foreground.

    Args:
        num_views: V.
        tolerance: By how much depths may differ, in metres of the room: where
            the augmentation has scaled the cloud, this is scaled, too.
        size: H and W of the images, as they are loaded.
    """

    random = True  # which frames there are is drawn when they are loaded

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
        places: Tensor | None = None,
        view_idx: Tensor | None = None,
    ) -> Pictures:
        """See :class:`BasePairs`; the foreground is where depth is measured.

        Raises:
            ValueError: No samples, or frames whose sizes don't fit.
        """
        if data_samples is None:
            raise ValueError('PosedFrames needs data_samples, which carry the frames.')
        device, all_images = points.device, len(data_samples) * self.num_views
        images = torch.zeros(all_images, 3, *self.size, device=device)
        foreground = torch.zeros(all_images, *self.size, dtype=torch.bool, device=device)
        uv = seen = None
        if places is not None:
            uv = torch.full((all_images, places.shape[1], 2), -torch.inf, device=device)
            seen = torch.zeros(uv.shape[:2], dtype=torch.bool, device=device)
        flat = self._frames(data_samples, device)
        if flat is not None:
            images[flat.slot] = flat.image.float() / 255
            foreground[flat.slot] = self._measured(flat.depth)
            if places is not None:
                uv[flat.slot], seen[flat.slot] = sight(
                    places[flat.slot // self.num_views],
                    flat.extrinsic,
                    flat.intrinsic,
                    flat.depth,
                    self.size,
                    flat.tolerance,
                )
        return Pictures(
            *(
                None if x is None else self._take(x, view_idx)
                for x in (images, foreground, uv, seen)
            )
        )

    def _measured(self, depth: Tensor) -> Tensor:
        """(P, H, W) bool of depth (P, h, w)."""
        measured = depth > 0
        measured = measured | ~measured.flatten(1).any(1)[:, None, None]
        return _resize(measured.float(), self.size) > 0

    def _take(self, x: Tensor, view_idx: Tensor | None) -> Tensor:
        """Chosen views (B, W, ...) of (B * V, ...)."""
        x = x.unflatten(0, (-1, self.num_views))
        if view_idx is None:
            return x
        return x[torch.arange(len(x), device=x.device)[:, None], view_idx]

    def _frames(self, data_samples: list, device: torch.device) -> Optional['_Frames']:
        """The first V frames of all samples; None: there is none."""
        V = self.num_views
        found = [
            (i * V, s.frames) for i, s in enumerate(data_samples) if s.get('frames') is not None
        ]
        if not found:
            return None
        rows = [min(len(f), V) for _, f in found]
        sizes = {tuple(f.image.shape[-2:]) for _, f in found}
        if sizes != {self.size}:
            raise ValueError(
                f'PosedFrames got images of {sorted(sizes)}, expected '
                f'{self.size}. Give LoadPosedFrames and PosedFrames the same '
                'size.'
            )
        depth = [f.depth[:V] for _, f in found]
        largest = max(d.shape[-2:] for d in depth)
        if any(d.shape[-2:] != largest for d in depth):
            depth = [_resize(d, largest) for d in depth]
        image, extrinsic, intrinsic = (
            torch.cat([f[key][:V] for _, f in found]).to(device)
            for key in ('image', 'extrinsic', 'intrinsic')
        )
        slot = torch.cat([begin + torch.arange(n) for (begin, _), n in zip(found, rows)])
        scale = torch.tensor([f.get('scale', 1.0) for _, f in found])
        tolerance = (self.tolerance * scale).repeat_interleave(torch.tensor(rows))
        return _Frames(
            image,
            torch.cat(depth).to(device),
            extrinsic,
            intrinsic,
            slot.to(device),
            tolerance.to(device),
        )


def _resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Nearest values of maps (P, h, w) as (P, H, W)."""
    maps = F.interpolate(maps[:, None], tuple(size), mode='nearest-exact')
    return maps[:, 0]


class _Frames(NamedTuple):
    """P frames: image (P, 3, H, W) uint8, depth (P, h, w), extrinsic
    (P, 4, 4), intrinsic (P, 3, 3), slot (P,) in B * V, tolerance (P,)."""

    image: Tensor
    depth: Tensor
    extrinsic: Tensor
    intrinsic: Tensor
    slot: Tensor
    tolerance: Tensor
