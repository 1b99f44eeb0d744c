"""Random crops of indoor scenes."""

import numpy as np
import pytest
import torch

from mmkd3d.datasets.transforms.cuboid_crop import CellCounts, RandomCuboidCrop
from mmkd3d.registry import TRANSFORMS
from tests.helpers import rejects

pytest.importorskip('mmdet3d')


def scene(num_points=600, num_boxes=5, seed=0):
    """Output of mmdetection3d's loading transforms, with numbered points and boxes."""
    from mmdet3d.structures import DepthInstance3DBoxes, DepthPoints

    generator = torch.Generator().manual_seed(seed)
    room = torch.tensor([6.0, 4.0, 2.5])
    xyz = torch.rand(num_points, 3, generator=generator) * room
    colour = torch.rand(num_points, 3, generator=generator)
    centers = torch.rand(num_boxes, 3, generator=generator) * room
    boxes = torch.cat([centers, torch.full((num_boxes, 3), 0.7)], 1)
    points = torch.cat([xyz, colour], 1)
    form = dict(box_dim=6, with_yaw=False, origin=(0.5, 0.5, 0.5))
    return dict(
        points=DepthPoints(points, points_dim=6, attribute_dims=dict(color=[3, 4, 5])),
        gt_bboxes_3d=DepthInstance3DBoxes(boxes, **form),
        gt_labels_3d=np.arange(num_boxes),
        pts_instance_mask=np.arange(num_points),
        pts_semantic_mask=np.arange(num_points) % 7,
    )


def crop(**kwargs):
    return RandomCuboidCrop(**{'min_points': 100, **kwargs})


def extent(xyz):
    return xyz.max(0) - xyz.min(0)


@pytest.mark.parametrize('seed', range(6))
def test_what_is_kept_is_a_cuboid_with_its_boxes(seed):
    np.random.seed(seed)
    before = scene(seed=seed)
    xyz = before['points'].coord.numpy()
    labels = before['gt_labels_3d']
    centers = before['gt_bboxes_3d'].gravity_center.numpy()
    after = crop()(dict(before))
    left, index = after['points'].coord.numpy(), after['pts_instance_mask']
    assert 100 <= len(left) < len(xyz)
    assert (extent(left) <= extent(xyz)).all()
    # The crop keeps points, colours and labels, and all points between its faces.
    assert torch.equal(after['points'].tensor, before['points'].tensor[index])
    assert (after['pts_semantic_mask'] == index % 7).all()
    within = ((xyz >= left.min(0)) & (xyz <= left.max(0))).all(1)
    assert within.nonzero()[0].tolist() == index.tolist()
    held = ((centers >= left.min(0)) & (centers <= left.max(0))).all(1)
    assert held.any()
    assert after['gt_labels_3d'].tolist() == labels[held].tolist()
    np.testing.assert_array_equal(after['gt_bboxes_3d'].gravity_center.numpy(), centers[held])


def test_fractions_lie_in_the_range_and_two_axes_are_alike(monkeypatch):
    """The random centre is fixed to the middle of the scene, so no margin is needed."""
    xyz = scene(num_points=4000)['points'].coord.numpy()
    middle = np.abs(xyz - (xyz.max(0) + xyz.min(0)) / 2).sum(1).argmin()
    monkeypatch.setattr(np.random, 'randint', lambda n: middle)
    for _ in range(40):
        after = crop(crop_range=(0.5, 0.9))(scene(num_points=4000))
        part = extent(after['points'].coord.numpy()) / extent(xyz)
        assert (part < 0.92).all() and (part > 0.4).all()
        ratios = [
            min(part[i], part[j]) / max(part[i], part[j]) for i, j in ((0, 1), (0, 2), (1, 2))
        ]
        assert max(ratios) > 0.75  # 0.8, but points stop short of the faces


@pytest.mark.parametrize(
    'settings', [dict(min_points=599), dict(min_points=601), dict(num_tries=0), dict(aspect=1.1)]
)
def test_scene_is_untouched_where_no_try_succeeds(settings):
    before, state = scene(), np.random.get_state()[1].tolist()
    parts = dict(before)
    after = crop(**settings)(before)
    assert after is before
    assert all(after[key] is value for key, value in parts.items())
    if settings.get('min_points') == 601:  # a scene that is too small draws no random numbers
        assert np.random.get_state()[1].tolist() == state
    before = scene(num_boxes=1)  # a box whose centre no crop can hold
    before['gt_bboxes_3d'].translate(torch.tensor([-50.0, -50, -50]))
    assert len(crop()(before)['points']) == 600


def test_boxes_at_negative_places_are_filtered_too():
    """Differs from 3DETR, which sums the coordinates instead of counting the boxes."""
    before = scene()
    shift = torch.tensor([-50.0, -50.0, -50.0])
    for key in ('points', 'gt_bboxes_3d'):
        before[key].translate(shift)
    sizes = [len(crop()(dict(before))['gt_labels_3d']) for _ in range(10)]
    assert min(sizes) < 5


@pytest.mark.parametrize('remove', [False, True])
def test_scene_without_boxes_is_cropped(remove):
    before = scene(num_boxes=0)
    if remove:
        for key in ('gt_bboxes_3d', 'gt_labels_3d', 'pts_instance_mask', 'pts_semantic_mask'):
            del before[key]
    after = crop()(before)
    assert 100 <= len(after['points']) < 600
    assert ('gt_bboxes_3d' in after) is not remove


def test_settings_are_the_published_ones_and_fractions_are_checked():
    built = TRANSFORMS.build(dict(type='mmkd3d.RandomCuboidCrop'))
    assert built == RandomCuboidCrop(30000, (0.5, 1.0), 0.8, 100)
    for crop_range in ((0.9, 0.5), (0, 1), (0.5, 1.5)):
        rejects('smallest <= largest', RandomCuboidCrop, crop_range=crop_range)
    lengths = []
    for seed in (3, 3, 4):  # seeds of numpy's global generator
        np.random.seed(seed)
        lengths.append(len(crop()(scene())['points']))
    assert lengths[0] == lengths[1] != lengths[2]


def crop_by_every_point(xyz, centers, min_points):
    """The crop as 3DETR writes it: each try compares all points with its faces."""
    extent = np.ptp(xyz, axis=0)
    for number in range(1, 101):
        fractions = np.random.uniform(0.5, 1.0, size=3)
        ordered = np.sort(fractions)
        if (ordered[:-1] / ordered[1:]).max() < 0.8:
            continue
        middle = xyz[np.random.randint(len(xyz))]
        # the half in float32, as the coordinates
        inside = (np.abs(xyz - middle) <= (extent * fractions / 2).astype('f4')).all(1)
        if inside.sum() >= min_points:
            low, high = xyz[inside].min(0), xyz[inside].max(0)
            held = ((centers >= low) & (centers <= high)).all(1)
            if held.any():
                return inside, held, number
    return np.ones(len(xyz), bool), np.ones(len(centers), bool), 100


SHAPES = {
    'room': lambda xyz: xyz,
    'far': lambda xyz: xyz + 5000,
    'flat': lambda xyz: xyz * torch.tensor([1, 1, 0]),
    'grid': lambda xyz: (xyz * 4).round() / 4,
    'point': lambda xyz: xyz * 0 + 1,
}


@pytest.mark.parametrize('shape', SHAPES)
def test_crop_and_random_numbers_are_those_of_the_plain_form(shape):
    tries = []
    for seed in range(30):
        before = scene(seed=seed)
        points, boxes = before['points'].tensor, before['gt_bboxes_3d'].tensor
        points[:, :3] = SHAPES[shape](points[:, :3])
        boxes[:, :3] = SHAPES[shape](before['gt_bboxes_3d'].gravity_center)
        boxes[:, 5] = 0  # without height the bottom is the centre
        centers = before['gt_bboxes_3d'].gravity_center.numpy()
        min_points = 200 + seed * 12
        np.random.seed(seed)
        inside, held, number = crop_by_every_point(points[:, :3].numpy(), centers, min_points)
        drawn = np.random.random()
        np.random.seed(seed)
        after = crop(min_points=min_points)(dict(before))
        assert np.random.random() == drawn
        assert torch.equal(after['points'].tensor, points[torch.from_numpy(inside)])
        assert after['pts_instance_mask'].tolist() == inside.nonzero()[0].tolist()
        assert after['gt_labels_3d'].tolist() == held.nonzero()[0].tolist()
        tries.append(number)
    assert min(tries) < 4
    if shape in ('room', 'far', 'grid'):  # some soon, some late, some never
        assert max(tries) == 100 and sum(10 < number < 100 for number in tries) > 3


@pytest.mark.parametrize('shape', SHAPES)
def test_cells_of_a_cuboid_hold_at_least_its_points(shape):
    rng = np.random.default_rng(0)
    xyz = SHAPES[shape](scene(num_points=2000)['points'].coord).numpy().T.copy()
    extent = np.ptp(xyz, axis=1)
    counts, surplus = CellCounts(xyz, extent), []
    for center in range(500):
        fractions = rng.uniform(0.3, 1, 3)
        # faces on borders of cells, too
        fractions[center % 4 :] = rng.integers(1, 8, 3)[center % 4 :] / 8
        half = (extent * fractions / 2).astype('f4')[:, None]
        exact = (np.abs(xyz - xyz[:, [center]]) <= half).all(0).sum()
        surplus.append(counts.at_most(fractions, center) - exact)
    assert min(surplus) >= 0 and np.mean(surplus) < 300


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_scene_with_a_point_that_is_not_finite_is_no_error(value):
    before = scene()
    before['points'].tensor[3, 0] = value
    assert len(crop(min_points=599)(before)['points']) >= 599
