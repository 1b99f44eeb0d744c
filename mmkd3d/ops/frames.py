"""Points in posed frames of a depth camera."""

from typing import NamedTuple

from torch import Tensor

from .projection import project, sample_pixels


class Sight(NamedTuple):
    """Where points are in images, uv (B, N, 2), and seen (B, N) bool."""

    uv: Tensor
    seen: Tensor


def sight(
    points: Tensor,
    extrinsic: Tensor,
    intrinsic: Tensor,
    depth_image: Tensor,
    size: tuple[int, int],
    tolerance: Tensor | float,
) -> Sight:
    """Find points in images, and test by the measured depth if they are seen.

    A point is seen where the depth that was measured at its pixel agrees with
    its own. Where nothing was measured nothing is seen; but an image without
    any depth hides nothing that lies inside of it.

    Args:
        points: (B, N, 3) coordinates.
        extrinsic: (B, 4, 4) from there to the camera.
        intrinsic: (B, 3, 3), for pixels of the image.
        depth_image: (B, h, w) in the unit of the points, 0 = not measured; it
            covers what the image covers.
        size: H and W of the image.
        tolerance: How far a point may be before or behind what was measured,
            one number or (B,).

    Returns:
        uv: (B, N, 2) pixels of the image, ``-inf`` behind the camera.
        seen: (B, N) bool.

    Raises:
        ValueError: On shapes that don't fit.
    """
    uv, depth = project(points, extrinsic, intrinsic)
    scale = uv.new_tensor(depth_image.shape[:0:-1]) / uv.new_tensor(size[::-1])
    measured, inside = sample_pixels(depth_image[:, None], (uv + 0.5) * scale - 0.5, mode='nearest')
    measured = measured[..., 0]  # (B, N)
    if isinstance(tolerance, Tensor):
        tolerance = tolerance[:, None]
    agrees = (measured > 0) & ((depth - measured).abs() <= tolerance)
    untested = ~(depth_image > 0).flatten(1).any(1, keepdim=True)
    return Sight(uv, inside & (agrees | untested))
