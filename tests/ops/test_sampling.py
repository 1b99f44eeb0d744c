"""Farthest point sampling against a thread-level simulation of the published kernels."""

import numpy as np
import pytest
import torch

from mmkd3d.ops import farthest_point_sample, farthest_point_sample_with_dist, gather
from tests.helpers import rejects

from .clouds import CLOUDS, FORMS, choose_form, random_cloud, sampled, squared_distance, tied_cloud


def reduce_block(values, ids):
    """Index of the maximum in a block, by a tree reduction over threads."""
    stride = len(values) // 2
    while stride:
        for thread in range(stride):
            if values[thread + stride] > values[thread]:
                values[thread] = values[thread + stride]
                ids[thread] = ids[thread + stride]
        stride //= 2
    return ids[0]


def kernel_fps(num_points, num_samples, row_of, skipped, max_threads):
    """Simulate the kernel on one cloud; ``row_of(i)`` returns the distances from point i."""
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
        row_of = lambda i: [squared_distance(cloud[i], p) for p in cloud]
        threads = dict(mmcv=1024, pointnet2=512)[rule]
        clouds.append(kernel_fps(len(cloud), num_samples, row_of, skipped, threads))
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


@pytest.mark.parametrize(
    'size, rule, kind, form', sampled(24, SIZES, ['mmcv', 'pointnet2'], CLOUDS, FORMS)
)
def test_fps_equals_the_kernel_with_its_ties(size, rule, kind, form, monkeypatch):
    choose_form(monkeypatch, form)
    num_clouds, num_points, num_samples = size
    points = CLOUDS[kind](num_clouds, num_points, seed=num_points)
    found = farthest_point_sample(points, num_samples, rule=rule)
    assert found.dtype == torch.long
    assert torch.equal(found, naive_fps(points, num_samples, rule))


@pytest.mark.parametrize('form', ['torch', 'loops'])
@pytest.mark.parametrize('rule, num_points', [('mmcv', 1500), ('pointnet2', 1100)])
def test_fps_tie_order_wraps_at_the_block_size(rule, num_points, form, monkeypatch):
    choose_form(monkeypatch, form)
    points = tied_cloud(1, num_points)
    assert torch.equal(farthest_point_sample(points, 4, rule=rule), naive_fps(points, 4, rule))


def test_pointnet2_rule_never_picks_points_near_the_origin_but_index_0():
    points = random_cloud(2, 200, seed=3)
    points[:, :50] *= 0.01  # includes index 0
    picked = farthest_point_sample(points, 200, rule='pointnet2')
    assert (picked[:, 0] == 0).all() and (picked[:, 1:] >= 50).all()
    # the other rule picks every point before repeating one
    picked = farthest_point_sample(points, 210)
    assert torch.equal(picked[:, :200].sort().values, torch.arange(200).expand(2, -1))
    assert not picked[:, 200:].any()
    assert not farthest_point_sample(points[:, :50], 7, rule='pointnet2').any()


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


def test_fps_ignores_autocast_half_copies_and_memory_layout():
    points = random_cloud(2, 300).requires_grad_()
    expected = farthest_point_sample(points, 40)
    gather(points, expected).sum().backward()
    assert points.grad.sum() == 2 * 3 * 40
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(farthest_point_sample(points, 40), expected)
    strided = points.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert torch.equal(farthest_point_sample(strided, 40), expected)
    half, single = points.half(), points.half().float()
    assert torch.equal(farthest_point_sample(half, 40), farthest_point_sample(single, 40))


def test_fps_says_what_is_wrong():
    points = torch.rand(2, 4, 3)
    for bad, message in (
        (torch.rand(4, 3), r'\(B, N, 3\)'),
        (torch.rand(2, 4, 6), r'points\[\.\.\., :3\]'),
        (torch.rand(2, 0, 3), 'empty cloud'),
        (points.long(), 'floating point'),
    ):
        rejects(message, farthest_point_sample, bad, 2)
    rejects('num_samples must be positive', farthest_point_sample, points, 0)
    rejects(r"\['mmcv', 'pointnet2'\]", farthest_point_sample, points, 2, rule='pointnet')
    rejects(r'\(B, N, N\)', farthest_point_sample_with_dist, torch.rand(2, 4, 5), 2)
