"""Project points to pixels, and read maps at points.

Pixel coordinates are ``uv = (column, row)`` with the origin in the middle of
the top left pixel: pixel (u, v) covers u - 0.5 <= x < u + 0.5. Cameras look
along +z with x to the right and y down (OpenCV); depth is the distance along
z. Everything is float32, even under autocast, and uses elementwise products,
since reduced-precision matrix products shift pixels.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .pairwise import check_cloud

# Rows right, down and forward of the views along z, y and x, as I2P-MAE names
# axes: (column, row, depth) = (y, x, z), (x, z, y) and (z, y, x). Each
# mirrors the cloud.
AXIS_VIEWS = (
    ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)),
    ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
)


class Pixels(NamedTuple):
    """Projected points: uv (B, N, 2) in pixels, depth (B, N)."""

    uv: Tensor
    depth: Tensor


class Samples(NamedTuple):
    """Sampled maps: feats (B, N, C), inside (B, N) bool."""

    feats: Tensor
    inside: Tensor


def project(points: Tensor, extrinsic: Tensor, intrinsic: Tensor) -> Pixels:
    """Project points with a pinhole camera.

    Args:
        points: (B, N, 3) world coordinates; differentiable.
        extrinsic: (B, 4, 4) world to camera.
        intrinsic: (B, 3, 3) focal lengths and centre in pixels.

    Returns:
        uv: (B, N, 2), ``-inf`` (outside every image) for points that are not
            in front of the camera.
        depth: (B, N), in the unit of the points.

    Raises:
        ValueError: On shapes that don't fit.
    """
    check_cloud('points', points)
    B = len(points)
    if extrinsic.shape != (B, 4, 4) or intrinsic.shape != (B, 3, 3):
        raise ValueError(
            f'project needs extrinsic ({B}, 4, 4) and intrinsic ({B}, 3, 3), '
            f'got {tuple(extrinsic.shape)} and {tuple(intrinsic.shape)}'
        )
    extrinsic = extrinsic.float()
    camera = _rotate(points.float(), extrinsic[:, :3, :3])
    camera = camera + extrinsic[:, None, :3, 3]
    depth = camera[..., 2]
    front = (depth > 0)[..., None]
    image = _rotate(camera, intrinsic.float()[:, :2])  # (B, N, 2)
    uv = image / camera[..., 2:].where(front, 1)
    return Pixels(uv.where(front, -torch.inf), depth)


def orthographic(
    points: Tensor,
    size: int | tuple[int, int],
    *,
    rotation: Tensor | tuple = AXIS_VIEWS[0],
    margin: float = 1.0,
    depth_in_pixels: bool = False,
) -> Pixels:
    """Project along one direction, scaling the cloud to fill the image.

    Both image axes share one scale. The centre of the cloud's extent projects
    to the centre of the image.

    Args:
        points: (B, N, 3) coordinates; differentiable.
        size: Height and width of the image, or one number for both.
        rotation: (3, 3) or (B, 3, 3) with rows right, down and forward; one
            of ``AXIS_VIEWS`` for a view along an axis.
        margin: Pixels left empty on each side.
        depth_in_pixels: Scale the depth like the image axes, so that a depth
            image has true slopes.

    Returns:
        uv: (B, N, 2).
        depth: (B, N), the signed coordinate along forward; in pixels, 0 is
            the centre of the cloud's extent.

    Raises:
        ValueError: Mismatched shapes, or a margin that leaves no pixels.
    """
    check_cloud('points', points)
    rotation = torch.as_tensor(rotation, dtype=torch.float32, device=points.device)
    if rotation.shape not in ((3, 3), (len(points), 3, 3)):
        raise ValueError(
            f'rotation must have shape (3, 3) or (B, 3, 3), got {tuple(rotation.shape)}'
        )
    height, width = height_width(size)
    last = points.new_tensor((width - 1, height - 1), dtype=torch.float32)
    if margin < 0 or 2 * margin >= min(height, width) - 1:
        raise ValueError(f'a margin of {margin} leaves no pixels of an image of {height}x{width}')
    view = _rotate(points.float(), rotation.expand(len(points), 3, 3))
    low, high = view.amin(1), view.amax(1)  # (B, 3)
    # a cloud without extent is a dot in the centre
    extent = (high - low)[:, :2].clamp(min=1e-8)
    scale = ((last - 2 * margin) / extent).amin(1)[:, None, None]
    scaled = (view - ((low + high) / 2)[:, None]) * scale
    depth = scaled[..., 2] if depth_in_pixels else view[..., 2]
    return Pixels(scaled[..., :2] + last / 2, depth)


def splat_depth(
    uv: Tensor, depth: Tensor, size: int | tuple[int, int], *, radius: int = 0
) -> Tensor:
    """Render points as depth images; the nearest point wins.

    Args:
        uv: (B, N, 2) pixel coordinates.
        depth: (B, N).
        size: Height and width of the images, or one number for both.
        radius: A point covers ``2 * radius + 1`` pixels in each direction.

    Returns:
        (B, H, W), ``inf`` for the background.

    Raises:
        ValueError: Mismatched shapes or a negative radius.
    """
    _check_pixels(uv, depth)
    height, width = height_width(size)
    if radius < 0:
        raise ValueError(f'radius must not be negative, got {radius}')
    # squares outside may overlap the image, so draw on a larger canvas
    canvas = height + 2 * radius, width + 2 * radius
    index, inside = _pixel_index(uv + radius, canvas)
    near = depth.float().where(inside, torch.inf)
    image = near.new_full((len(uv), canvas[0] * canvas[1]), torch.inf)
    image = image.scatter_reduce(1, index, near, 'amin').unflatten(1, canvas)
    if radius:
        image = -max_filter(-image, radius)
    return image[:, radius : radius + height, radius : radius + width]


def max_filter(images: Tensor, radius: int) -> Tensor:
    """Maximum over the square of side ``2 * radius + 1`` around each pixel.

    Args:
        images: (B, H, W).
        radius: Of the square; pixels outside the image are ignored.

    Returns:
        (B, H, W).
    """
    images = F.pad(images, (radius,) * 4, value=-torch.inf)
    for dim in (-1, -2):
        # maxima of 1, 2, 4, ... pixels, the last step overlaps
        width, want = 1, 2 * radius + 1
        while width < want:
            step = min(width, want - width)
            kept = images.shape[dim] - step
            images = torch.maximum(images.narrow(dim, 0, kept), images.narrow(dim, step, kept))
            width += step
    return images


def visible(uv: Tensor, depth: Tensor, depth_image: Tensor, *, tolerance: float) -> Tensor:
    """Whether points are visible in a depth image.

    Args:
        uv: (B, N, 2) pixel coordinates.
        depth: (B, N).
        depth_image: (B, H, W), ``inf`` for the background.
        tolerance: How far behind the depth image a point may be, in the unit
            of depth.

    Returns:
        (B, N) bool, False outside the image.

    Raises:
        ValueError: On shapes that don't fit.
    """
    _check_pixels(uv, depth)
    if depth_image.ndim != 3 or len(depth_image) != len(uv):
        raise ValueError(
            'depth_image must have shape (B, H, W) with '
            f'B={len(uv)}, got {tuple(depth_image.shape)}'
        )
    index, inside = _pixel_index(uv, depth_image.shape[1:])
    front = depth_image.float().flatten(1).gather(1, index)
    return inside & (depth.float() <= front + tolerance)


def sample_pixels(maps: Tensor, uv: Tensor, *, mode: str = 'bilinear') -> Samples:
    """Sample maps at pixel coordinates.

    Args:
        maps: (B, C, H, W); differentiable.
        uv: (B, N, 2) in pixels of the maps. For maps of another resolution
            than the image, ``(uv + 0.5) * scale - 0.5``.
        mode: 'nearest', 'bilinear' or 'bicubic' (as ``F.interpolate``, with
            replicated borders).

    Returns:
        feats: (B, N, C) float32, 0 outside the maps.
        inside: (B, N) bool.

    Raises:
        ValueError: Mismatched shapes or an unknown mode.
    """
    _check_pixels(uv)
    if maps.ndim != 4 or len(maps) != len(uv):
        raise ValueError(
            f'maps must have shape (B, C, H, W) with B={len(uv)}, got {tuple(maps.shape)}'
        )
    if mode not in ('nearest', 'bilinear', 'bicubic'):
        raise ValueError(f"mode must be 'nearest', 'bilinear' or 'bicubic', got {mode!r}")
    height, width = maps.shape[2:]
    index, inside = _pixel_index(uv, (height, width))
    maps = maps.float()
    if mode == 'nearest':
        index = index[:, None].expand(-1, maps.shape[1], -1)
        feats = maps.flatten(2).gather(2, index)  # (B, C, N)
    else:
        grid = uv.float().where(inside[..., None], 0)
        grid = (grid * 2 + 1) / grid.new_tensor((width, height)) - 1
        feats = F.grid_sample(
            maps, grid[:, None], mode=mode, padding_mode='border', align_corners=False
        ).squeeze(2)
    return Samples(feats.mT.where(inside[..., None], 0), inside)


def _rotate(points: Tensor, matrix: Tensor) -> Tensor:
    """Products (B, N, r) of points (B, N, 3) and matrices (B, r, 3)."""
    x, y, z = points.split(1, -1)
    cols = matrix[:, None]  # (B, 1, r, 3)
    return (x * cols[..., 0] + y * cols[..., 1]) + z * cols[..., 2]


def height_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width from a pair or one number."""
    return (size, size) if isinstance(size, int) else tuple(size)


def _check_pixels(uv: Tensor, depth: Tensor | None = None) -> None:
    if uv.ndim != 3 or uv.shape[-1] != 2:
        raise ValueError(f'uv must have shape (B, N, 2), got {tuple(uv.shape)}')
    if depth is not None and depth.shape != uv.shape[:2]:
        raise ValueError(
            f'depth must have shape {tuple(uv.shape[:2])} like uv, got {tuple(depth.shape)}'
        )


def _pixel_index(uv: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Index into H * W (B, N), 0 where not inside (B, N)."""
    height, width = size
    u, v = (uv.detach().float() + 0.5).floor().unbind(-1)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    index = v.where(inside, 0).long() * width + u.where(inside, 0).long()
    return index, inside
