"""Farthest point sampling against the published kernels, thread by thread."""

import numpy as np
import pytest
import torch

from mmkd3d.ops import farthest_point_sample, farthest_point_sample_with_dist, gather, sampling

from .clouds import CLOUDS, random_cloud, sampled, squared_distance, tied_cloud


def reduce_block(values, ids):
    """Winner of a block: one value per thread, halved until one is left."""
    stride = len(values) // 2
    while stride:
        for thread in range(stride):
            if values[thread + stride] > values[thread]:
                values[thread] = values[thread + stride]
                ids[thread] = ids[thread + stride]
        stride //= 2
    return ids[0]


def kernel_fps(num_points, num_samples, row_of, skipped, max_threads):
    """One cloud; ``row_of(i)`` are the distances of point i to all."""
    threads = min(2 ** (num_points.bit_length() - 1), max_threads)
    running = np.full(num_points, 1e10, dtype=np.float32)
    picked = [0]
    for _ in range(num_samples - 1):
        row = row_of(picked[-1])
        values, ids = [-1.0] * threads, [0] * threads
        for k in range(num_points):
            if skipped[k]:
                continue
            running[k] = min(running[k], row[k])
            if running[k] > values[k % threads]:
                values[k % threads], ids[k % threads] = running[k], k
        picked.append(reduce_block(values, ids))
    return picked


def naive_fps(points, num_samples, rule):
    clouds = []
    for cloud in points.numpy():
        skipped = [rule == 'pointnet2' and squared_distance((0, 0, 0), p) <= 1e-3 for p in cloud]
        clouds.append(
            kernel_fps(
                len(cloud),
                num_samples,
                lambda i: [squared_distance(cloud[i], p) for p in cloud],
                skipped,
                dict(mmcv=1024, pointnet2=512)[rule],
            )
        )
    return torch.tensor(clouds)


SIZES = [  # clouds, points, samples
    (1, 1, 1),
    (2, 1, 4),
    (1, 2, 2),
    (3, 5, 5),
    (2, 37, 37),
    (1, 64, 9),
    (2, 100, 120),
    (1, 700, 6),
]


@pytest.mark.parametrize('size, rule, kind', sampled(16, SIZES, ['mmcv', 'pointnet2'], CLOUDS))
def test_fps_equals_the_kernel_with_its_ties(size, rule, kind):
    num_clouds, num_points, num_samples = size
    points = CLOUDS[kind](num_clouds, num_points, seed=num_points)
    found = farthest_point_sample(points, num_samples, rule=rule)
    assert found.dtype == torch.long
    assert torch.equal(found, naive_fps(points, num_samples, rule))


@pytest.mark.parametrize('rule, num_points', [('mmcv', 1500), ('pointnet2', 1100)])
def test_fps_tie_order_wraps_at_the_block_size(rule, num_points):
    points = tied_cloud(1, num_points)
    assert torch.equal(farthest_point_sample(points, 4, rule=rule), naive_fps(points, 4, rule))


def test_pointnet2_rule_never_picks_points_near_the_origin_but_index_0():
    points = random_cloud(2, 200, seed=3)
    points[:, :50] *= 0.01  # index 0 among them
    picked = farthest_point_sample(points, 200, rule='pointnet2')
    assert (picked[:, 0] == 0).all() and (picked[:, 1:] >= 50).all()
    assert (farthest_point_sample(points, 200) < 50).sum() == 2 * 50


def test_pointnet2_rule_repeats_index_0_if_nothing_else_is_left():
    points = random_cloud(2, 20) * 0.01
    assert not farthest_point_sample(points, 7, rule='pointnet2').any()


def test_all_points_are_taken_before_any_is_repeated():
    picked = farthest_point_sample(random_cloud(2, 90), 100)
    everything = torch.arange(90).expand(2, -1)
    assert torch.equal(picked[:, :90].sort().values, everything)
    assert not picked[:, 90:].any()


@pytest.mark.parametrize('kind', CLOUDS)
@pytest.mark.parametrize('num_points, num_samples', [(1, 2), (5, 5), (60, 70)])
def test_fps_with_dist_equals_the_kernel(kind, num_points, num_samples):
    a, b = (CLOUDS[kind](2, num_points, seed=seed) for seed in (0, 1))
    dist = (a[:, :, None] - b[:, None]).square().sum(-1)  # not symmetric
    expected = [
        kernel_fps(num_points, num_samples, matrix.__getitem__, [False] * num_points, 1024)
        for matrix in dist.numpy()
    ]
    found = farthest_point_sample_with_dist(dist, num_samples)
    assert torch.equal(found, torch.tensor(expected))


def test_fps_with_dist_on_squared_distances_is_fps():
    points = random_cloud(2, 80)
    dist = (points[:, :, None] - points[:, None]).square().sum(-1)
    assert torch.equal(farthest_point_sample_with_dist(dist, 30), farthest_point_sample(points, 30))


def test_fps_ignores_autocast_half_copies_and_memory_layout():
    points = random_cloud(2, 300)
    expected = farthest_point_sample(points, 40)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(farthest_point_sample(points, 40), expected)
    strided = points.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert torch.equal(farthest_point_sample(strided, 40), expected)
    rounded = points.half()
    assert torch.equal(
        farthest_point_sample(rounded, 40), farthest_point_sample(rounded.float(), 40)
    )


def test_fps_takes_part_in_a_graph_without_touching_it():
    points = random_cloud(1, 30).requires_grad_()
    gather(points, farthest_point_sample(points, 5)).sum().backward()
    assert points.grad.sum() == 15


def test_layout_in_rows_repeats_the_last_item_only():
    for num_points in (1, 2, 3, 7, 50, 101):
        rows = sampling._num_rows(num_points)
        grid = sampling._in_rows(torch.arange(num_points), rows).view(rows, -1)
        by_column = grid.t().flatten()
        assert torch.equal(by_column[:num_points], torch.arange(num_points))
        assert (by_column[num_points:] == num_points - 1).all()


@pytest.mark.parametrize(
    'points, num_samples, rule, message',
    [
        (torch.rand(4, 3), 2, 'mmcv', r'\(B, N, 3\)'),
        (torch.rand(2, 4, 6), 2, 'mmcv', r'points\[\.\.\., :3\]'),
        (torch.rand(2, 0, 3), 2, 'mmcv', 'empty cloud'),
        (torch.ones(2, 4, 3, dtype=torch.long), 2, 'mmcv', 'floating point'),
        (torch.rand(2, 4, 3), 0, 'mmcv', 'num_samples must be positive'),
        (torch.rand(2, 4, 3), 2, 'pointnet', r"\['mmcv', 'pointnet2'\]"),
    ],
)
def test_fps_says_what_is_wrong(points, num_samples, rule, message):
    with pytest.raises(ValueError, match=message):
        farthest_point_sample(points, num_samples, rule=rule)


def test_fps_with_dist_wants_a_square_matrix():
    with pytest.raises(ValueError, match=r'\(B, N, N\)'):
        farthest_point_sample_with_dist(torch.rand(2, 4, 5), 2)
