"""Rendered views of clouds: visibility and reproducibility."""

import math

import numpy as np
import pytest
import torch

from mmkd3d.datasets.procedural.solids import rotation
from mmkd3d.models.views.rendered_views import ViewRenderer
from mmkd3d.ops import visible
from mmkd3d.registry import MODELS

STYLES = ('shaded', 'depth')


def sphere(num=2048):
    """Points (1, N, 3), evenly on the unit sphere (Fibonacci lattice)."""
    k = torch.arange(num) + 0.5
    height, angle = 1 - 2 * k / num, k * math.pi * (1 + math.sqrt(5))
    ring = (1 - height**2).sqrt()
    return torch.stack([ring * angle.cos(), height, ring * angle.sin()], -1)[None]


def clouds(num=3):
    generator = torch.Generator().manual_seed(0)
    stretch = 0.3 + torch.rand(num, 1, 3, generator=generator)
    points = sphere(512) * stretch
    return points + 0.3 * points.flip(-1).abs()  # no symmetry


@pytest.mark.parametrize('style', STYLES)
def test_pictures_have_the_agreed_form(style):
    renderer = MODELS.build(dict(type='mmkd3d.ViewRenderer', num_views=2, size=48, style=style))
    points = clouds().requires_grad_()
    images = renderer(points)
    assert images.shape == (3, 2, 3, 48, 48)
    assert images.dtype == torch.float32 and not images.requires_grad
    assert images.min() >= 0 and images.max() <= 1
    assert torch.equal(images[:, :, 0], images[:, :, 2])
    assert not torch.equal(images[:, 0], images[:, 1])
    assert not list(renderer.state_dict())


def test_a_sphere_is_round_and_nearest_in_the_middle():
    size = 64
    renderer = ViewRenderer(3, size, style='depth', margin=0.1)
    images = renderer(sphere())[0, :, 0]
    margin = 0.1 * size + renderer.radius
    radius = (size - 1) / 2 - margin  # of the centres of the points
    row, column = torch.meshgrid(*[torch.arange(size)] * 2, indexing='ij')
    middle = (size - 1) / 2
    distance = ((row - middle) ** 2 + (column - middle) ** 2).sqrt()
    for image in images:
        assert (image[distance < radius - 1] > 0).all()
        grown = radius + math.sqrt(2) * (renderer.radius + 1)
        assert not image[distance > grown].any()
        brightest = divmod(image.argmax().item(), size)
        assert math.dist(brightest, (middle, middle)) < 0.1 * size
        ring = [image[(distance - r * radius).abs() < 1] for r in (0, 0.5, 0.9)]
        means = torch.stack([values.mean() for values in ring])
        assert (means.diff() < -0.05).all()
        assert max(values.std() for values in ring) < 0.05


def test_a_sphere_is_lit_from_above_on_any_background():
    image = ViewRenderer(1, 96)(sphere())[0, 0, 0]
    assert (image[:5] == 1).all()  # the white background
    assert image[20, 48] > image[75, 48] and image[48, 20] > image[48, 75]
    image = ViewRenderer(1, 32, background=0.5)(sphere(512))[0, 0]
    assert (image[:, 0, 0] == 0.5).all()
    assert np.isclose(image.min(), 0.25, atol=0.2)


@pytest.mark.parametrize('num', [512, 8192])
def test_random_sampling_gives_closed_surfaces(num):
    points = torch.randn(4, num, 3, generator=torch.Generator().manual_seed(1))
    points = points / points.norm(dim=-1, keepdim=True)
    image = ViewRenderer(1, 224).project(points).surface[:, 0]
    row, column = torch.meshgrid(*[torch.arange(224)] * 2, indexing='ij')
    inside = (row - 111.5) ** 2 + (column - 111.5) ** 2 < 85**2
    assert image[:, inside].isfinite().float().mean() > 0.99


@pytest.mark.parametrize('style', STYLES)
def test_a_view_of_a_turned_cloud_is_the_turned_view(style):
    points = clouds()
    turned = points @ torch.from_numpy(rotation(math.pi / 2)).float().T
    renderer = ViewRenderer(4, 64, style=style)
    views, expected = renderer(turned), renderer(points).roll(-1, dims=1)
    later = ViewRenderer(4, 64, style=style, azimuth=0.6 + math.pi / 2)(points)
    # a point on the border of two pixels may fall on either side
    for found in (views, later):
        assert ((found - expected).abs() > 0.02).float().mean() < 0.02
    unlike = (views - renderer(points)).abs() > 0.02
    assert unlike.float().mean() > 0.1


def test_cameras_at_the_zenith_see_a_pole_as_a_dot():
    pole = sphere(512) * torch.tensor([0.1, 1, 0.1])
    shape = {}
    for elevation in (0.0, math.pi / 2):
        seen = ViewRenderer(1, 48, elevation=elevation)(pole)[0, 0, 0] < 1
        shape[elevation] = seen.any(1).sum() / seen.any(0).sum()
    assert shape[0.0] > 4  # height over width
    assert 0.9 < shape[math.pi / 2] < 1.1


@pytest.mark.parametrize('style', STYLES)
def test_a_view_is_the_same_alone_in_a_batch_and_under_autocast(style):
    renderer, points = ViewRenderer(3, 40, style=style), clouds()
    together = renderer(points)
    for b in range(len(points)):
        torch.testing.assert_close(together[b : b + 1], renderer(points[b : b + 1]))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(renderer(points), together)
    idx = torch.arange(len(points)) % 3
    one = renderer(points, idx)
    assert one.shape == (len(points), 1, 3, 40, 40)
    torch.testing.assert_close(one[:, 0], together[torch.arange(len(points)), idx])


@pytest.mark.parametrize('style', STYLES)
@pytest.mark.parametrize(
    'cloud',
    [
        torch.full((1, 9, 3), 0.3),
        torch.zeros(2, 1, 3),
        torch.linspace(-1, 1, 20)[None, :, None] * torch.tensor([0.0, 1.0, 0.0]),
    ],
)
def test_a_cloud_without_extent_is_a_dot_or_a_line(cloud, style):
    renderer = ViewRenderer(2, 64, style=style)
    images = renderer(cloud)[:, :, 0]
    assert images.isfinite().all()
    drawn = images != renderer.background
    assert drawn[..., 28:36, 32].any()
    assert not drawn[..., :26].any() and not drawn[..., 38:].any()


def test_random_views_differ_and_follow_the_seed():
    renderer = ViewRenderer(2, 48, random=True)
    points = clouds(1).expand(2, -1, -1)
    torch.manual_seed(3)
    first, second = renderer(points), renderer(points)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])  # one angle per cloud
    torch.manual_seed(3)
    assert torch.equal(renderer(points), first)


def test_pixels_and_depths_of_the_points_belong_to_the_surface():
    views = ViewRenderer(2, 64).project(sphere(512))
    assert views.uv.shape == (1, 2, 512, 2)
    assert views.depth.shape == (1, 2, 512)
    assert views.surface.shape == (1, 2, 64, 64)
    for v in range(2):
        seen = visible(views.uv[:, v], views.depth[:, v], views.surface[:, v], tolerance=4.0)
        front = views.depth[:, v] < 0
        assert (seen == front)[views.depth[:, v].abs() > 10].all()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="'shaded' or 'depth', got 'colour'"):
        ViewRenderer(style='colour')
    with pytest.raises(ValueError, match='at least 1, got 0'):
        ViewRenderer(num_views=0)
