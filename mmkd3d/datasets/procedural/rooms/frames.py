"""Render posed colour and depth images of a room from a dense cloud."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mmkd3d.ops.projection import project, splat_depth

from .scan import Cloud, Scene, look_from

DENSE = 300_000  # points used to render a room
COLOR_SIZE, DEPTH_SIZE = (484, 648), (240, 320)  # rows, columns
FOCAL = 580.0  # pixels of the colour image
# (distance in metres, radius in pixels) of a rendered point.
BANDS = ((0.0, 10), (0.6, 6), (1.2, 3), (2.0, 2))


def intrinsics(size: tuple[int, int]) -> np.ndarray:
    """Intrinsics (3, 3) of the camera for an image of this size."""
    rows, columns = (s / c for s, c in zip(size, COLOR_SIZE))
    return np.array(
        [[FOCAL * columns, 0, (size[1] - 1) / 2], [0, FOCAL * rows, (size[0] - 1) / 2], [0, 0, 1]]
    )


def render(cloud: Cloud, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Render a cloud.

    Returns:
        colour (240, 320, 3) uint8 and depth (240, 320) float32 in metres,
        0 for the background.
    """
    ray = cloud.points - pose[:3, 3]
    front = ((cloud.normals * ray).sum(1) < 0) | cloud.two_sided
    front &= ray @ pose[:3, 2] > 0.1
    points = torch.from_numpy(cloud.points[front]).float()[None]
    pixels = project(
        points,
        torch.from_numpy(np.linalg.inv(pose)).float()[None],
        torch.from_numpy(intrinsics(DEPTH_SIZE)).float()[None],
    )
    colors = torch.from_numpy(cloud.colors[front].astype(np.uint8))
    depth = torch.full(DEPTH_SIZE, torch.inf)
    image = torch.zeros(*DEPTH_SIZE, 3, dtype=torch.uint8)
    starts = [start for start, _ in BANDS] + [np.inf]
    for (start, radius), end in zip(BANDS, starts[1:]):
        band = (pixels.depth[0] >= start) & (pixels.depth[0] < end)
        new_image, new_depth = _draw(
            pixels.uv[:, band], pixels.depth[:, band], colors[band], radius
        )
        nearer = new_depth < depth
        depth = torch.where(nearer, new_depth, depth)
        image[nearer] = new_image[nearer]
    return image.numpy(), depth.where(depth.isfinite(), 0).numpy()


def _draw(uv: Tensor, depth: Tensor, colors: Tensor, radius: int) -> tuple:
    """Colour (H, W, 3) and depth (H, W) of points drawn at one pixel size."""
    height, width = DEPTH_SIZE
    single = splat_depth(uv, depth, DEPTH_SIZE)
    u, v = (uv[0] + 0.5).floor().unbind(-1)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    index = (v * width + u)[inside].long()
    nearest = depth[0][inside] == single.flatten()[index]
    own = torch.zeros(height * width, 3, dtype=torch.uint8)
    own[index[nearest]] = colors[inside][nearest]
    pooled, source = F.max_pool2d(-single, 2 * radius + 1, 1, radius, return_indices=True)
    return own[source[0].flatten()].unflatten(0, DEPTH_SIZE), -pooled[0]


def write_frames(
    folder: Path,
    scene: Scene,
    eyes: np.ndarray,
    count: int,
    rng: np.random.Generator,
    to_raw: np.ndarray,
) -> None:
    """Write ``NNNNN.jpg`` (648 x 484), ``NNNNN.png`` (depth, mm) and cameras.

    Args:
        folder: Folder of the scene.
        scene: The room.
        eyes: (E, 3) camera positions, used in turn.
        count: Number of frames.
        rng: Source of randomness.
        to_raw: (4, 4) room to the raw frame of the scan.
    """
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    cloud = scene.draw(DENSE, rng)
    poses = []
    for k in range(count):
        eye = eyes[k % len(eyes)]
        # look into the room, not at a wall close by
        yaw = np.arctan2(-eye[0], -eye[2]) + rng.uniform(-1, 1)
        pose = look_from(eye, yaw, rng.uniform(0.15, 0.5))
        image, depth = render(cloud, pose)
        # remove single points visible through a sparse surface
        image, depth = cv2.medianBlur(image, 5), cv2.medianBlur(depth, 5)
        image = cv2.resize(image, COLOR_SIZE[::-1])
        cv2.imwrite(str(folder / f'{k * 20:05d}.jpg'), image[..., ::-1])
        cv2.imwrite(str(folder / f'{k * 20:05d}.png'), np.round(depth * 1000).astype(np.uint16))
        poses.append(to_raw @ pose)
    large = tuple(2 * s for s in COLOR_SIZE)
    np.savez(
        folder / 'cameras.npz',
        frame=np.arange(count) * 20,
        cam2world=np.stack(poses),
        K_648x484=intrinsics(COLOR_SIZE),
        K_1296x968=intrinsics(large),
    )
