"""Rendered grey images of planes and spheres against manual computations."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmkd3d.datasets.procedural.solids import rotation
from mmkd3d.ops import (
    gray_depth,
    max_filter,
    orthographic,
    shade,
    splat_depth,
    surface_depth,
    turntable,
)
from mmkd3d.ops.views import AMBIENT, DIFFUSE, LIGHT

from .clouds import random_cloud


def plane(right, down, size=64, spacing=2):
    """uv and depth of points on the plane ``depth = right * u + down * v``."""
    axis = torch.arange(0, size, spacing).float()
    v, u = (g.flatten() for g in torch.meshgrid(axis, axis, indexing='ij'))
    return torch.stack([u, v], -1)[None], (right * u + down * v)[None]


def test_max_filter_equals_pooling():
    images = torch.rand(3, 9, 14, generator=torch.Generator().manual_seed(0))
    for radius in (0, 1, 2, 3, 6):
        expected = F.max_pool2d(images, 2 * radius + 1, stride=1, padding=radius)
        assert torch.equal(max_filter(images, radius), expected)


def test_cameras_are_rotations_and_look_down():
    cameras = turntable(torch.rand(4, 3) * 9, 0.4)
    assert cameras.shape == (4, 3, 3, 3)
    torch.testing.assert_close(cameras @ cameras.mT, torch.eye(3).expand(4, 3, 3, 3))
    torch.testing.assert_close(cameras.det(), torch.ones(4, 3))
    # +y is up in the image, and forward points below the horizon
    assert (cameras[..., 1, 1] < 0).all()
    torch.testing.assert_close(cameras[..., 2, 1], torch.full((4, 3), -math.sin(0.4)))
    front = turntable(torch.zeros(1), 0.0)[0]
    assert front.tolist() == [[1, 0, 0], [0, -1, 0], [0, 0, -1]]


@pytest.mark.parametrize('angle', [0.3, 2.0, -1.0])
def test_a_view_of_a_turned_cloud_is_the_turned_view(angle):
    points = random_cloud(1, 200)
    turned = points @ torch.from_numpy(rotation(angle)).float().T
    uv, depth = orthographic(turned, 64, rotation=turntable(torch.tensor([0.5]), 0.3))
    expected = orthographic(points, 64, rotation=turntable(torch.tensor([0.5 + angle]), 0.3))
    torch.testing.assert_close(uv, expected.uv, rtol=0, atol=1e-4)
    torch.testing.assert_close(depth, expected.depth, rtol=0, atol=1e-5)


def test_depth_in_pixels_has_the_scale_of_the_image():
    points = random_cloud(2, 50) * 3 + 7
    cameras = turntable(torch.tensor([0.5, 2.0]), 0.3)
    uv, depth = orthographic(points, (40, 30), rotation=cameras, depth_in_pixels=True)
    seen = torch.cdist(*[torch.cat([uv, depth[..., None]], -1)] * 2)
    scale = seen / torch.cdist(points, points).clamp(min=1e-3)
    far = torch.cdist(points, points) > 1
    for b in range(2):
        x = scale[b][far[b]]
        torch.testing.assert_close(x, x.mean().expand_as(x), rtol=1e-3, atol=0)
    torch.testing.assert_close(depth.amax(1), -depth.amin(1))


@pytest.mark.parametrize('slope', [(0.0, 0.0), (1.0, 0.0), (-0.5, 0.8)])
def test_a_sampled_plane_is_closed_and_as_deep_and_as_bright(slope):
    uv, depth = plane(*slope, spacing=4)
    assert splat_depth(uv, depth, 64, radius=1).isinf().any()
    image = surface_depth(uv, depth, 64, radius=1, fill=4)
    inner = slice(16, 48)
    v, u = torch.meshgrid(*[torch.arange(64.0)] * 2, indexing='ij')
    expected = slope[0] * u + slope[1] * v
    assert image[:, :61, :61].isfinite().all()
    assert (image[0] - expected)[inner, inner].abs().max() < 0.5
    normal = np.array([*slope, -1]) / math.hypot(*slope, 1)
    light = np.array(LIGHT) / math.hypot(*LIGHT)
    gray = AMBIENT + DIFFUSE * max(normal @ light, 0)
    assert (shade(image)[0, inner, inner] - gray).abs().max() < 0.1
    exact = shade(expected[None])
    torch.testing.assert_close(exact, torch.full_like(exact, gray))


def test_closing_keeps_the_outline_of_a_point_and_of_a_large_hole():
    uv, depth = torch.tensor([[[10.0, 12.0]]]), torch.tensor([[3.0]])
    image = surface_depth(uv, depth, 32, radius=2, fill=4)
    rows, columns = image[0].isfinite().nonzero().T
    assert (rows.min(), rows.max()) == (10, 14)
    assert (columns.min(), columns.max()) == (8, 12)
    assert ((image[image.isfinite()] - 3).abs() < 1e-5).all()
    uv, depth = plane(0.0, 0.0)
    far = (uv - 32).abs().amax(-1)[0] > 12
    image = surface_depth(uv[:, far], depth[:, far], 64, radius=1, fill=4)
    assert image[0, 25:40, 25:40].isinf().all()
    assert image[0, :20].isfinite().all()


def test_surfaces_are_drawn_at_the_border_as_inside_and_hide_what_is_behind():
    points = random_cloud(1, 60)
    uv, depth = orthographic(points, 40, margin=0, depth_in_pixels=True)
    inside = surface_depth(uv + 20, depth, 80, radius=1, fill=3)
    image = surface_depth(uv, depth, 40, radius=1, fill=3)
    torch.testing.assert_close(image, inside[:, 20:60, 20:60])
    uv, depth = plane(0.0, 0.0, spacing=4)
    uv, depth = torch.cat([uv, uv + 2], 1), torch.cat([depth, depth + 100], 1)
    image = surface_depth(uv, depth, 64, radius=1, fill=4)
    assert not image[0, :50, :50].any()


def test_light_comes_from_above_and_the_left_and_ends_at_the_outline():
    v, u = torch.meshgrid(*[torch.arange(65.0) - 32] * 2, indexing='ij')
    ball = -(30**2 - u**2 - v**2).sqrt()
    ball = ball.where(ball.isfinite(), torch.inf)[None]
    gray = shade(ball)[0]
    assert (gray[ball[0].isinf()] == 0).all()
    on = gray[ball[0].isfinite()]
    assert on.min() >= AMBIENT - 1e-6 and on.max() <= AMBIENT + DIFFUSE + 1e-6
    assert gray[12, 32] > gray[52, 32] and gray[32, 12] > gray[32, 52]
    row, column = divmod(gray.argmax().item(), 65)
    assert row < 32 and column < 32


def test_gray_depth_runs_from_nearest_to_farthest_of_each_scale():
    depth = torch.tensor([[1.0, 2, 3], [-5, 5, 0]])
    image = torch.tensor([[[1.0, 2], [3, torch.inf]], [[-5, 5], [0, 0]]])
    gray = gray_depth(image, depth)
    expected = torch.tensor([[[1.0, 0.55], [0.1, 0]], [[1, 0.1], [0.55, 0.55]]])
    torch.testing.assert_close(gray, expected)
    # two views that share one scale
    both = gray_depth(image[None], depth[None])
    torch.testing.assert_close(both[0, 1], gray[1])
    assert both[0, 0, 0, 0] < 1
    flat = gray_depth(torch.full((1, 2, 2), 3.0), torch.full((1, 4), 3.0))
    assert (flat == 1).all()
