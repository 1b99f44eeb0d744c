"""Patch pyramids and the visibility of their tokens against loops."""

import itertools

import pytest
import torch

from mmkd3d.models.layers.pyramid import PyramidGroup, VisibleTokens, point_indices, propagate_mask
from mmkd3d.ops import farthest_point_sample

from ..small_m2ae import GROUPS, SIZES, clouds


def pyramid(num_levels=3, points=None, **kwargs):
    group = PyramidGroup(GROUPS[-num_levels:], SIZES[:num_levels], **kwargs)
    return group(clouds() if points is None else points)


def random_mask(B=3, G=8, masked=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(B, G, generator=generator).argsort(1)
    return order < masked


@pytest.mark.parametrize('rule', ['pointnet2', 'mmcv'])
def test_a_level_is_cut_out_of_the_centres_below(rule):
    points = clouds()
    points[1, :40] *= 1e-2  # pointnet2 skips them
    levels = pyramid(4, points, fps_rule=rule)
    source, to_cloud = points, torch.arange(96).expand(3, -1)
    for level, indices, G, K in zip(levels, point_indices(levels), GROUPS, SIZES):
        picked = farthest_point_sample(source, G, rule=rule)
        assert torch.equal(level.center_idx, picked)
        to_cloud = to_cloud.gather(1, picked)
        assert torch.equal(indices, to_cloud)
        for b, g in itertools.product(range(3), range(G)):
            center = points[b, indices[b, g]]
            assert torch.equal(level.centers[b, g], center)
            near = (source[b] - center).square().sum(1)
            near = near.argsort(stable=True)[:K]  # centres may repeat
            assert torch.equal(level.point_idx[b, g], near)
            torch.testing.assert_close(level.points[b, g] + center, source[b][near])
        source = level.centers


def visible_sets(mask, levels, quirk=False):
    """Visible tokens of every cloud, level by level, as sets."""
    found = [[{g for g, m in enumerate(row) if not m} for row in mask.tolist()]]
    for level in reversed(levels[1:]):
        below = [
            set().union(*(level.point_idx[b, g].tolist() for g in seen))
            for b, seen in enumerate(found[0])
        ]
        if quirk and any(len(seen) < level.centers.shape[1] for seen in found[0]):
            below[0].add(0)
        found.insert(0, below)
    return found


@pytest.mark.parametrize(
    'num_levels, quirk, masked',
    [(1, True, 5), (2, False, 7), (2, True, 5), (3, False, 5), (3, True, 0), (4, True, 7)],
)
def test_what_lies_in_a_visible_patch_is_visible(num_levels, quirk, masked):
    levels = pyramid(num_levels)
    shown = 0
    for seed in range(10):
        mask = random_mask(masked=masked, seed=seed)
        expected = visible_sets(mask, levels, quirk)
        masks = propagate_mask(mask, levels, quirk)
        assert torch.equal(masks[-1], mask)
        for found, hidden, level in zip(expected, masks, levels):
            assert hidden.shape == level.centers.shape[:2]
            for seen, row in zip(found, hidden):
                assert seen == set((~row).nonzero().flatten().tolist())
        if quirk:
            plain = visible_sets(mask, levels)
            shown += expected != plain
            assert all(a[1:] == b[1:] for a, b in zip(expected, plain))
    # the quirk has an effect whenever tokens below the top are masked
    assert bool(shown) == (quirk and num_levels > 1 and masked > 0)


def test_the_first_token_is_visible_by_the_quirk_on_all_levels_but_the_top():
    mask = torch.ones(2, 8, dtype=torch.bool)
    mask[:, 5] = False
    levels = pyramid(4, clouds(2))
    for hidden in propagate_mask(mask, levels, True)[:-1]:
        assert not hidden[0, 0]
    nothing = torch.zeros_like(mask)
    for a, b in zip(propagate_mask(nothing, levels, True), propagate_mask(nothing, levels, False)):
        # Tokens in no patch are masked; the quirk shows tokens below them, in cloud 0 only.
        assert torch.equal(a[1:], b[1:])


def rows(mask, x):
    """The visible rows of every cloud."""
    return [cloud[~hidden] for cloud, hidden in zip(x, mask)]


MASKS = dict(
    random=torch.rand(5, 11, generator=torch.Generator().manual_seed(3)) > 0.4,
    nothing=torch.zeros(3, 6, dtype=torch.bool),
    all=torch.ones(2, 6, dtype=torch.bool),
    one=torch.tensor([[True, False, True]]),
    uneven=torch.tensor([[0, 1, 0, 0, 1], [1, 1, 1, 1, 0], [0] * 5, [1] * 5]).bool(),
)


@pytest.mark.parametrize('mask', MASKS.values(), ids=MASKS)
def test_visible_tokens_are_taken_in_order_and_put_back(mask):
    visible, (B, G) = VisibleTokens.of(mask), mask.shape
    x = torch.randn(B, G, 4, requires_grad=True)
    taken = visible.take(x)
    idx = torch.arange(B * G * 4).view(B, G, 4)  # integers, not floats
    for row, valid, expected in zip(visible.take(idx), visible.valid, rows(mask, idx)):
        assert torch.equal(row[valid], expected)
    most = int((~mask).sum(1).max())
    assert taken.shape == (B, most, 4)
    assert torch.equal(visible.valid.sum(1), (~mask).sum(1))
    for row, valid, expected in zip(taken, visible.valid, rows(mask, x)):
        assert torch.equal(row[valid], expected)
        assert valid.tolist() == sorted(valid.tolist(), reverse=True)
    if not most:
        return
    other = torch.randn(B, G, 4)
    back = visible.put(taken * 2, other)
    torch.testing.assert_close(back, torch.where(mask[..., None], other, 2 * x))
    assert torch.equal(visible.put(taken, 0.0), x.masked_fill(mask[..., None], 0))
    back.sum().backward()
    assert torch.equal(x.grad, 2.0 * (~mask)[..., None].expand_as(x))


@pytest.mark.parametrize('group_sizes', [(8, 4), (8, 33, 4), (8, 4, 17)])
def test_sizes_that_do_not_fit_are_an_error(group_sizes):
    with pytest.raises(ValueError, match=r'num_groups'):
        PyramidGroup((32, 16, 8), group_sizes)
