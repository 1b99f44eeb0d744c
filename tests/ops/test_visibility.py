"""Depth test of posed frames against a loop over points."""

import math

import pytest
import torch

from mmkd3d.ops import frame_visibility

from .test_projection import camera


def scene(depth_size=(12, 16), seed=0):
    """Points in front of and behind noisy depth maps, for images of 24 x 32 pixels."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(3, 200, 3, generator=generator) * 6 - 3
    depth = torch.rand(3, *depth_size, generator=generator) + 2.5
    depth[torch.rand(depth.shape, generator=generator) < 0.3] = 0
    return points, *camera(3), depth


def look(point, extrinsic, intrinsic, depth, size, tolerance):
    """Pixel of one point, and whether it is visible."""
    x, y, z = (extrinsic @ torch.cat([point, torch.ones(1)]))[:3].tolist()
    if z <= 0:
        return None, False
    (fx, _, cx), (_, fy, cy) = intrinsic[:2].tolist()
    u, v = fx * x / z + cx, fy * y / z + cy
    h, w = depth.shape
    row = math.floor((v + 0.5) / size[0] * h)
    col = math.floor((u + 0.5) / size[1] * w)
    if not (0 <= row < h and 0 <= col < w):
        return (u, v), False
    measured = depth[row, col].item()
    if not depth.any():
        return (u, v), True
    return (u, v), measured > 0 and abs(z - measured) <= tolerance


@pytest.mark.parametrize('depth_size', [(12, 16), (24, 32), (48, 64), (9, 11)])
def test_it_equals_a_loop(depth_size):
    points, extrinsic, intrinsic, depth = scene(depth_size)
    depth[2] = 0
    size, tolerance = (24, 32), torch.tensor([0.4, 0.8, 0.4])
    uv, seen = frame_visibility(points, extrinsic, intrinsic, depth, size, tolerance)
    assert uv.shape == (3, 200, 2) and seen.shape == (3, 200)
    for b in range(3):
        for n in range(200):
            camera_b = extrinsic[b], intrinsic[b], depth[b]
            pixel, wanted = look(points[b, n], *camera_b, size, tolerance[b].item())
            assert seen[b, n] == wanted
            if pixel is not None:
                assert uv[b, n].tolist() == pytest.approx(pixel, abs=1e-3)
    count = seen.sum(1).tolist()
    assert 0 < count[0] < count[1] < count[2] < 200


def test_depths_before_and_behind_are_refused_alike():
    extrinsic, intrinsic = camera(1)
    points = torch.zeros(1, 5, 3)
    points[0, :, 2] = torch.tensor([-0.11, -0.09, 0.0, 0.09, 0.11])
    depth = torch.full((1, 24, 32), 3.0)
    seen = frame_visibility(points, extrinsic, intrinsic, depth, (24, 32), 0.1).visible
    assert seen[0].tolist() == [False, True, True, True, False]
