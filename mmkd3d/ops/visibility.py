"""Visibility of points in the posed frames of a depth camera."""

from typing import NamedTuple

from torch import Tensor

from .projection import project, sample_pixels


class FrameVisibility(NamedTuple):
    """Pixels uv (B, N, 2) of points, and whether they are visible (B, N), bool."""

    uv: Tensor
    visible: Tensor


def frame_visibility(
    points: Tensor,
    extrinsic: Tensor,
    intrinsic: Tensor,
    depth_image: Tensor,
    size: tuple[int, int],
    tolerance: Tensor | float,
) -> FrameVisibility:
    """Project points into images and test their visibility against measured depth.

    A point is visible if its depth agrees with the depth measured at its pixel. Points at pixels
    without a measurement are not visible. An image without any depth occludes nothing: all
    points inside it are visible.

    Args:
        points: (B, N, 3) coordinates.
        extrinsic: (B, 4, 4) from these coordinates to the camera.
        intrinsic: (B, 3, 3), for pixels of the image.
        depth_image: (B, h, w) in the unit of the points, 0 = not measured. It covers the same
            view as the image.
        size: H and W of the image.
        tolerance: Largest difference of the two depths, one number or (B,).

    Returns:
        uv: (B, N, 2) pixels of the image, ``-inf`` behind the camera.
        visible: (B, N) bool.

    Raises:
        ValueError: Mismatched shapes.
    """
    uv, depth = project(points, extrinsic, intrinsic)
    scale = uv.new_tensor(depth_image.shape[:0:-1]) / uv.new_tensor(size[::-1])
    measured, inside = sample_pixels(depth_image[:, None], (uv + 0.5) * scale - 0.5, mode='nearest')
    measured = measured[..., 0]  # (B, N)
    if isinstance(tolerance, Tensor):
        tolerance = tolerance[:, None]
    agrees = (measured > 0) & ((depth - measured).abs() <= tolerance)
    untested = ~(depth_image > 0).flatten(1).any(1, keepdim=True)
    return FrameVisibility(uv, inside & (agrees | untested))
