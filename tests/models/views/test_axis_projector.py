"""Projections along the axes against 25 splats per point."""

import math

import pytest
import torch
from torch.nn import functional as F

from mmkd3d.models.views.axis_projector import VIEWS, AxisProjector, box_sum
from mmkd3d.ops import AXIS_VIEWS
from mmkd3d.registry import MODELS


def clouds(num=2, size=200, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(num, size, 3, generator=generator)
    return points * torch.tensor([1.0, 0.6, 0.3]) + 0.2


def draw(cloud, size=224, radius=2):
    """Draw one cloud (N, 3), point by point and pixel by pixel (spec 6)."""
    images = torch.zeros(3, size, size)
    for image, (a, b, v) in zip(images, VIEWS):
        plane = cloud[:, (a, b)]
        low = plane.min(0).values
        side = (plane.max(0).values - low).max() / (size - 3)
        cells = ((plane - low) / side).floor().int().tolist()
        steps = range(-radius, radius + 1)
        dense = [[cell[axis] + s + 1 for cell in cells for s in steps] for axis in (0, 1)]
        shift = [size // 2 - (max(d) + min(d)) // 2 - 1 for d in dense]
        for cell, value in zip(cells, cloud[:, v]):
            for down in range(-radius, radius + 1):
                for right in range(-radius, radius + 1):
                    row = cell[0] + down + 1 + shift[0]
                    column = cell[1] + right + 1 + shift[1]
                    row, column = (min(max(x, 0), size - 1) for x in (row, column))
                    image[row, column] += value
    return images.sigmoid()


@pytest.mark.parametrize('size, radius', [(224, 2), (32, 0), (14, 3)])
def test_pictures_are_those_of_a_splat_for_every_point(size, radius):
    points = clouds(2, 60)
    images = AxisProjector(size, radius)(points)
    assert images.shape == (2, 3, 3, size, size)
    assert images.dtype == torch.float32
    for image, cloud in zip(images, points):
        expected = draw(cloud, size, radius)[:, None].expand_as(image)
        torch.testing.assert_close(image, expected, atol=1e-5, rtol=0)


def test_the_longest_extent_fills_the_picture_and_the_other_is_in_the_middle():
    cloud = torch.tensor([[[0.0, 1.0, 0.0], [2.0, 1.0, 0.0], [2.0, 2.0, 0.0]]])
    projector = AxisProjector(32)
    pixels = projector.pixels(cloud, projector.frame(cloud))
    # view 1: 29 pixels for 2 units of x (rows), half as many for y (columns)
    rows, columns = pixels[0, 0].unbind(-1)
    assert rows.tolist() == [1, 30, 30]
    assert columns.tolist() == [8, 8, 22]
    # view 3: rows y, columns z, which has a single value
    assert pixels[0, 2].tolist() == [[1, 15], [1, 15], [30, 15]]


def test_squares_that_reach_beyond_the_border_are_moved_onto_it():
    cloud = torch.tensor([[[0.0, 0.0, 0.1], [1.0, 1.0, 0.3]]])
    sums = AxisProjector(19)(cloud)[0, 0, 0].logit()
    corner = torch.tensor([[4.0, 2, 2, 2], [2, 1, 1, 1], [2, 1, 1, 1], [2, 1, 1, 1]])
    for place, value in ((sums[:4, :4], 0.1), (sums.flip(0, 1)[:4, :4], 0.3)):
        torch.testing.assert_close(place, value * corner, atol=1e-5, rtol=0)
    assert sums.sum().item() == pytest.approx(25 * 0.4, rel=1e-4)


@pytest.mark.parametrize('radius', [0, 1, 3])
def test_box_sum_keeps_the_sum_and_equals_a_loop(radius):
    images = torch.randn(2, 3, 9, 7, dtype=torch.float64)
    images[..., [0, -1], :] = images[..., [0, -1]] = 0
    expected = torch.zeros_like(images)
    for row in range(9):
        for column in range(7):
            for down in range(-radius, radius + 1):
                for right in range(-radius, radius + 1):
                    to = (min(max(row + down, 0), 8), min(max(column + right, 0), 6))
                    expected[..., to[0], to[1]] += images[..., row, column]
    torch.testing.assert_close(box_sum(images, radius), expected, atol=1e-5, rtol=0)


def test_a_picture_does_not_move_or_grow_with_the_cloud_but_its_values_do():
    points = clouds(1).double()
    points = (points * 1024).round() / 1024  # so that sums below are exact
    projector = AxisProjector(64)
    frame = projector.frame(points)
    pixels = projector.pixels(points, frame)
    for changed, cell in (
        (points + torch.tensor([0.5, -2.0, 4.0]), frame.cell),
        (4 * points, 4 * frame.cell),
    ):
        other = projector.frame(changed)
        torch.testing.assert_close(other.cell, cell)
        assert torch.equal(projector.pixels(changed, other), pixels)
        assert not torch.allclose(projector(changed), projector(points))


def test_pictures_depend_on_no_other_cloud_and_not_on_autocast():
    projector = MODELS.build(dict(type='mmkd3d.AxisProjector', size=48))
    assert projector.num_views == 3 and not projector.state_dict()
    assert '48, radius=2' in repr(projector)
    turned = torch.tensor(AXIS_VIEWS).argmax(-1)  # column, row and depth
    assert torch.equal(turned[:, [1, 0, 2]], torch.tensor(VIEWS))
    points = clouds(5)
    together = projector(points)
    for b in range(5):
        torch.testing.assert_close(together[b : b + 1], projector(points[b : b + 1]))
    assert torch.equal(projector(points, projector.frame(points)), together)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(projector(points), together)


def test_other_positions_are_seen_in_the_frame_of_the_cloud():
    points, projector = clouds(), AxisProjector(64)
    frame = projector.frame(points)
    pixels = projector.pixels(points, frame)
    assert pixels.dtype == torch.int64 and pixels.shape == (2, 3, 200, 2)
    part = projector.pixels(points[:, 50:60], frame)
    assert torch.equal(part, pixels[:, :, 50:60])
    far = projector.pixels(torch.full((2, 1, 3), 1e3), frame)
    assert (far == 63).all()
    assert not projector.pixels(torch.full((2, 1, 3), -1e3), frame).any()


@pytest.mark.parametrize(
    'cloud',
    [
        torch.zeros(1, 9, 3),
        torch.full((2, 5, 3), 0.3),
        torch.ones(1, 1, 3),
        torch.tensor([[[1e-44, 0.0, 0.0], [0.0, 3e-43, 0.0]]]),
    ],
)
def test_a_cloud_without_extent_is_a_dot_in_the_middle(cloud):
    projector = AxisProjector(32)
    frame = projector.frame(cloud)
    assert (projector.pixels(cloud, frame) == 15).all()
    images = projector(cloud)
    assert images.isfinite().all()
    around = F.pad(torch.zeros(5, 5), (13, 14, 13, 14), value=1.0)
    assert (images[..., around > 0] == 0.5).all()
    value = torch.sigmoid(cloud.sum(1)[:, 2])  # of view 1
    torch.testing.assert_close(images[:, 0, 0, 15, 15], value)


def test_gradients_reach_the_coordinate_along_the_view():
    points = clouds(1, 30).requires_grad_()
    projector = AxisProjector(24)
    projector(points)[:, 1].sum().backward()  # along y
    assert points.grad[..., 1].all() and not points.grad[..., [0, 2]].any()
    values = points.detach().clone()

    def total(step):
        moved = values.clone()
        moved[0, 7, 1] += step
        frame = projector.frame(values)
        return projector(moved, frame)[:, 1].double().sum()

    slope = (total(1e-2) - total(-1e-2)) / 2e-2
    assert math.isclose(points.grad[0, 7, 1], slope, rel_tol=1e-2)


def test_wrong_arguments_are_named():
    for cfg in (dict(size=3), dict(radius=-1)):
        with pytest.raises(ValueError, match=str(list(cfg.values())[0])):
            AxisProjector(**cfg)
    with pytest.raises(ValueError, match='coordinates only'):
        AxisProjector()(torch.rand(2, 10, 6))
