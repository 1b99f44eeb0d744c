"""Projection to pixels and back, with simple cameras computed by hand."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmkd3d.ops import AXIS_VIEWS, orthographic, project, sample_pixels, splat_depth, visible
from tests.helpers import rejects

from .clouds import random_cloud


def camera(num, focal=10.0, center=(15.5, 11.5), distance=3.0):
    """``num`` cameras at z = -``distance`` that look along +z."""
    extrinsic = torch.eye(4).repeat(num, 1, 1)
    extrinsic[:, 2, 3] = distance
    intrinsic = torch.eye(3).repeat(num, 1, 1)
    intrinsic[:, 0, 0] = intrinsic[:, 1, 1] = focal
    intrinsic[:, :2, 2] = torch.tensor(center)
    return extrinsic, intrinsic


def cube(num_side=9):
    """Points (1, N, 3) on the front and back face of a unit cube."""
    axis = torch.linspace(-0.5, 0.5, num_side)
    x, y = (grid.flatten() for grid in torch.meshgrid(axis, axis, indexing='ij'))
    return torch.stack(
        [torch.stack([x, y, torch.full_like(x, z)], -1) for z in (-0.5, 0.5)]
    ).flatten(0, 1)[None]


@pytest.mark.parametrize('B, N', [(1, 1), (2, 7)])
def test_project_equals_homogeneous_matrices(B, N):
    points = random_cloud(B, N)
    extrinsic, intrinsic = camera(B)
    extrinsic[:, :3, :3] = torch.linalg.qr(torch.randn(B, 3, 3))[0]
    intrinsic[:, 0, 1] = 0.3  # skew
    uv, depth = project(points, extrinsic, intrinsic)
    for b in range(B):
        for n in range(N):
            place = extrinsic[b] @ torch.cat([points[b, n], torch.ones(1)])
            pixel = intrinsic[b] @ place[:3]
            torch.testing.assert_close(uv[b, n], pixel[:2] / pixel[2])
            torch.testing.assert_close(depth[b, n], place[2])


def test_points_behind_the_camera_are_nowhere():
    points = torch.tensor(
        [[[0.0, 0.0, -3.0], [0.1, 0.0, -4.0], [0.0, 0.0, 1.0]]], requires_grad=True
    )
    uv, depth = project(points, *camera(1))
    assert torch.isneginf(uv[0, :2]).all() and uv[0, 2].isfinite().all()
    image = splat_depth(uv, depth, (24, 32), radius=3)
    assert image[image.isfinite()].unique().tolist() == [4.0]
    maps = torch.ones(1, 2, 24, 32)
    for mode in ('nearest', 'bilinear', 'bicubic'):
        feats, inside = sample_pixels(maps, uv, mode=mode)
        assert inside.tolist() == [[False, False, True]]
        assert not feats[0, :2].any()
    assert not visible(uv, depth, image, tolerance=9.0)[0, :2].any()
    uv[0, 2].sum().backward()
    assert points.grad.isfinite().all()


def test_projection_is_float32_under_autocast():
    points = random_cloud(2, 50)
    extrinsic, intrinsic = camera(2)
    expected = project(points, extrinsic, intrinsic)
    maps = torch.rand(2, 3, 24, 32)
    read = sample_pixels(maps, expected.uv)
    flat = orthographic(points, 32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = project(points, extrinsic, intrinsic)
        assert torch.equal(found.uv, expected.uv)
        assert torch.equal(sample_pixels(maps, found.uv).feats, read.feats)
        assert torch.equal(orthographic(points, 32).uv, flat.uv)


@pytest.mark.parametrize('view, axes', zip(AXIS_VIEWS, ('yxz', 'xzy', 'zyx')))
@pytest.mark.parametrize('size, margin', [((32, 32), 2.5), ((20, 50), 0.0)])
def test_orthographic_fills_the_image_up_to_the_margin(view, axes, size, margin):
    points = random_cloud(3, 100) + 5
    uv, depth = orthographic(points, size, rotation=view, margin=margin)
    height, width = size
    right, down, forward = (points[..., 'xyz'.index(axis)] for axis in axes)
    assert torch.equal(depth, forward)
    last = torch.tensor([width - 1.0, height - 1.0])
    low, high = uv.amin(1), uv.amax(1)
    torch.testing.assert_close(low + high, last.expand(3, 2))
    free = torch.minimum(low, last - high).amin(1)
    torch.testing.assert_close(free, torch.full((3,), margin), rtol=0, atol=1e-4)
    # both axes share one scale
    scale = (high - low)[:, :1] / (right.amax(1) - right.amin(1))[:, None]
    for pixel, world in ((uv[..., 0], right), (uv[..., 1], down)):
        expected = scale * (world - world[:, :1])
        torch.testing.assert_close(pixel - pixel[:, :1], expected, rtol=0, atol=1e-3)
    # one rotation per cloud
    views = torch.tensor([AXIS_VIEWS[0], view, AXIS_VIEWS[2]])
    each = orthographic(points, size, rotation=views, margin=margin)
    assert torch.equal(each.uv[1], uv[1]) and torch.equal(each.depth[1], depth[1])
    uv, _ = orthographic(torch.full((1, 1, 3), 7.0), (9, 5))
    assert uv.tolist() == [[[2.0, 4.0]]]  # a single point is centred


def naive_splat(uv, depth, size, radius):
    height, width = size
    image = np.full((len(uv), height, width), np.inf, dtype=np.float32)
    for b, n in np.ndindex(*depth.shape):
        u, v = (math.floor(x + 0.5) for x in uv[b, n].tolist())
        for row in range(max(v - radius, 0), min(v + radius + 1, height)):
            for col in range(max(u - radius, 0), min(u + radius + 1, width)):
                image[b, row, col] = min(image[b, row, col], depth[b, n])
    return image


@pytest.mark.parametrize(
    'radius, B, N, size',
    [(0, 1, 1, (4, 4)), (1, 2, 60, (7, 9)), (3, 1, 30, (1, 12)), (0, 2, 60, (7, 9))],
)
def test_splat_depth_equals_a_loop(radius, B, N, size):
    generator = torch.Generator().manual_seed(N)
    span = torch.tensor([size[1], size[0]]) + 6.0
    uv = torch.rand(B, N, 2, generator=generator) * span - 3
    uv[:, ::3] = (uv[:, ::3] * 2).round() / 2  # on pixel borders
    depth = torch.randn(B, N, generator=generator)
    found = splat_depth(uv, depth, size, radius=radius)
    np.testing.assert_array_equal(found, naive_splat(uv, depth, size, radius))


def test_the_front_of_a_cube_hides_its_back():
    uv, depth = project(cube(), *camera(1, focal=20.0))
    image = splat_depth(uv, depth, (24, 32), radius=1)
    assert image.min() == 2.5
    seen = visible(uv, depth, image, tolerance=0.01)
    assert seen[0, :81].all() and not seen[0, 81:].any()
    assert visible(uv, depth, image, tolerance=1.01).all()
    uv, depth = uv[:, 81:], depth[:, 81:]  # the back is visible without the front
    image = splat_depth(uv, depth, (24, 32), radius=1)
    assert visible(uv, depth, image, tolerance=0.0).all()


def test_an_empty_depth_image_hides_nothing_inside_of_it():
    uv = torch.tensor([[[0.0, 0.0], [3.4, 3.4], [3.6, 0.0], [0.0, -0.6]]])
    seen = visible(uv, torch.ones(1, 4), torch.full((1, 4, 4), torch.inf), tolerance=0.0)
    assert seen.tolist() == [[True, True, False, False]]


@pytest.mark.parametrize('mode', ['nearest', 'bilinear', 'bicubic'])
def test_sampling_at_pixel_centres_gives_the_pixels(mode):
    maps = torch.randn(2, 3, 5, 7)
    v, u = torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing='ij')
    uv = torch.stack([u, v], -1).flatten(0, 1).expand(2, -1, -1)
    feats, inside = sample_pixels(maps, uv, mode=mode)
    assert inside.all()
    torch.testing.assert_close(feats, maps.flatten(2).mT, rtol=0, atol=1e-5)


def test_bilinear_sampling_equals_a_loop():
    maps, uv = torch.randn(1, 2, 4, 6), torch.rand(1, 40, 2)
    uv = uv * torch.tensor([5.0, 3.0])
    feats, _ = sample_pixels(maps, uv)
    for point, feat in zip(uv[0].tolist(), feats[0]):
        (u, v), expected = point, torch.zeros(2)
        for row in range(4):
            for col in range(6):
                weight = max(0, 1 - abs(u - col)) * max(0, 1 - abs(v - row))
                expected += weight * maps[0, :, row, col]
        torch.testing.assert_close(feat, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('mode', ['bilinear', 'bicubic'])
def test_sampling_equals_reading_from_a_resized_map(mode):
    maps, uv = torch.randn(1, 3, 14, 14), torch.randint(224, (1, 50, 2))
    large = F.interpolate(maps, size=224, mode=mode, align_corners=False)
    expected = large[0][:, uv[0, :, 1], uv[0, :, 0]].mT
    found = sample_pixels(maps, (uv + 0.5) * (14 / 224) - 0.5, mode=mode)
    torch.testing.assert_close(found.feats[0], expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize('mode', ['nearest', 'bilinear'])
def test_sampling_outside_is_zero_and_gradients_reach_the_maps(mode):
    uv = torch.tensor([[[-0.5, 0.0], [-0.51, 0.0], [2.49, 0.0], [2.5, 0.0], [0.0, math.nan]]])
    feats, inside = sample_pixels(torch.ones(1, 4, 3, 3), uv, mode=mode)
    assert inside.tolist() == [[True, False, True, False, False]]
    assert torch.equal(feats, inside[..., None].float().expand(-1, -1, 4))
    maps = torch.zeros(1, 2, 3, 3, requires_grad=True)
    uv = torch.tensor([[[1.0, 1.0], [1.0, 1.0], [9.0, 9.0]]])
    sample_pixels(maps, uv, mode=mode).feats.sum().backward()
    expected = torch.zeros(1, 2, 3, 3)
    expected[:, :, 1, 1] = 2
    torch.testing.assert_close(maps.grad, expected, rtol=0, atol=1e-5)


def test_projection_says_what_is_wrong():
    points, uv, depth = torch.rand(1, 4, 3), torch.rand(1, 4, 2), torch.rand(1, 4)
    maps = torch.rand(2, 3, 8, 8)
    rejects('extrinsic', project, torch.rand(2, 4, 3), *camera(1))
    rejects('leaves', orthographic, points, 8, margin=3.5)
    rejects('rotation', orthographic, points, 8, rotation=torch.eye(4))
    rejects('uv', splat_depth, points, depth, 8)
    rejects('depth', splat_depth, uv, torch.rand(1, 5), 8)
    rejects('radius', splat_depth, uv, depth, 8, radius=-1)
    rejects('depth_image', visible, uv, depth, torch.rand(8, 8), tolerance=0.0)
    rejects('maps', sample_pixels, maps, uv)
    rejects('mode', sample_pixels, maps[:1], uv, mode='area')
