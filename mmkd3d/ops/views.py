"""Render grey images of clouds: cameras, surface closing and shading.

Works on depth images (see :mod:`mmkd3d.ops.projection`), in float32 even under
autocast. Results are deterministic: nothing is summed in random order.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .projection import max_filter, splat_depth, visible

LIGHT = (-0.35, -0.62, -0.70)  # from the left, above and behind the camera
AMBIENT, DIFFUSE = 0.25, 0.7


def turntable(azimuth: Tensor, elevation: float) -> Tensor:
    """Cameras around the +y axis, as rotations for ``orthographic``.

    The view at azimuth 0 looks along -z. The view at azimuth a equals the view
    at 0 of the cloud rotated by a about +y (right-handed).

    Args:
        azimuth: (...) radians.
        elevation: Height of the cameras above the horizon, radians.

    Returns:
        (..., 3, 3) float32, rows right, down and forward.
    """
    elevation = torch.full_like(azimuth, elevation)
    (sin_a, sin_e), (cos_a, cos_e) = ((f(azimuth), f(elevation)) for f in (torch.sin, torch.cos))
    right = torch.stack([cos_a, torch.zeros_like(azimuth), sin_a], -1)
    down = torch.stack([-sin_e * sin_a, -cos_e, sin_e * cos_a], -1)
    forward = torch.stack([cos_e * sin_a, -sin_e, -cos_e * cos_a], -1)
    return torch.stack([right, down, forward], -2).float()


def surface_depth(
    uv: Tensor, depth: Tensor, size: int | tuple[int, int], *, radius: int, fill: int
) -> Tensor:
    """Depth image of the surface sampled by the points.

    Draws a square at each point, then applies a morphological closing (dilation
    and erosion), which fills gaps but keeps outlines. The depth is the mean of
    the visible points nearby, by normalised convolution (Knutsson and Westin
    1993).

    Args:
        uv: (B, N, 2) pixel coordinates.
        depth: (B, N) in pixels.
        size: Height and width of the image, or one number for both.
        radius: A single point covers ``2 * radius + 1`` pixels.
        fill: Closes gaps of up to about twice this many pixels, and smooths
            the depth over the same distance.

    Returns:
        (B, H, W), ``inf`` where there is no surface.
    """
    # on a larger canvas, since the erosion reads pixels outside the image
    height, width = (size, size) if isinstance(size, int) else size
    uv, canvas = uv + fill, (height + 2 * fill, width + 2 * fill)
    closed = max_filter(splat_depth(uv, depth, canvas, radius=radius + fill), fill)
    seen = visible(uv, depth, closed, tolerance=2.0 * fill)
    samples = splat_depth(uv, depth.where(seen, torch.inf), canvas)
    known = samples.isfinite()
    total, weight = _smooth(torch.cat([samples.where(known, 0), known.float()]), fill).chunk(2)
    # without a visible point nearby, keep the depth as drawn
    smooth = (total / weight).where(closed.isfinite() & (weight > 0), closed)
    return smooth[:, fill : fill + height, fill : fill + width]


def gray_depth(image: Tensor, depth: Tensor) -> Tensor:
    """Depth as grey: 1 nearest, 0.1 farthest, 0 background.

    Args:
        image: (S, ..., H, W), ``inf`` for the background.
        depth: (S, ...) depths of the points; grey is scaled separately for
            each of the S, from its nearest to its farthest point.

    Returns:
        Like ``image``.
    """
    near, far = (
        f(depth.flatten(1), 1).view(-1, *[1] * (image.ndim - 1)) for f in (torch.amin, torch.amax)
    )
    gray = 1 - (image - near) / (far - near).clamp(min=1e-8) * 0.9
    return gray.where(image.isfinite(), 0)


def shade(image: Tensor) -> Tensor:
    """Shade a surface: Lambert's law for one distant light, plus ambient light.

    Args:
        image: (B, H, W) depth in pixels, ``inf`` for the background.

    Returns:
        (B, H, W) in [0.25, 0.95]; 0 for the background.
    """
    right, down = _slope(image, -1), _slope(image, -2)
    # the normal towards the camera is (right, down, -1) / length
    x, y, z = (part / math.hypot(*LIGHT) for part in LIGHT)
    length = (right * right + down * down + 1).sqrt()
    cosine = (right * x + down * y - z) / length
    gray = AMBIENT + DIFFUSE * cosine.clamp(min=0)
    return gray.where(image.isfinite(), 0)


def _slope(image: Tensor, dim: int) -> Tensor:
    """Mean difference to the two neighbours, over those that exist."""
    step = image.diff(dim=dim)
    exists = step.isfinite()
    steps = torch.stack([step.where(exists, 0), exists.float()])
    pad = (0, 0) * (-1 - dim)
    total, count = F.pad(steps, (*pad, 1, 0)) + F.pad(steps, (*pad, 0, 1))
    return total / count.clamp(min=1)


def _smooth(images: Tensor, radius: int) -> Tensor:
    """Two box filters, with zeros around the image."""
    width = 2 * radius + 1
    # Vectorised over the images: four times as fast on CPUs.
    images = images[None].contiguous(memory_format=torch.channels_last)
    for _ in range(2):
        images = F.avg_pool2d(images, (width, 1), stride=1, padding=(radius, 0))
        images = F.avg_pool2d(images, (1, width), stride=1, padding=(0, radius))
    return images[0].contiguous()
