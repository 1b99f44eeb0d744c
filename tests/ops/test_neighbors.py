"""kNN and ball query against loops, for several block sizes."""

import numpy as np
import pytest
import torch

from mmkd3d.ops import ball_query, compiled, knn, neighbors, pairwise
from tests.helpers import rejects

from .clouds import CLOUDS, FORMS, choose_form, random_cloud, sampled, squared_distance, tied_cloud

SIZES = [  # B, M, N, k
    (1, 1, 1, 1),
    (1, 4, 1, 1),
    (2, 3, 7, 7),
    (2, 7, 5, 4),
    (3, 9, 130, 1),
    (2, 5, 150, 8),
    (1, 6, 257, 20),
]


def distance_table(query, points):
    """Distances (B, M, N) from a naive loop."""
    return np.array(
        [
            [[squared_distance(q, p) for p in cloud] for q in queries]
            for queries, cloud in zip(query.numpy(), points.numpy())
        ]
    )


def naive_knn(query, points, k):
    table = distance_table(query, points)
    idx = np.array(
        [[sorted(range(len(row)), key=lambda i: (row[i], i))[:k] for row in rows] for rows in table]
    )
    return np.take_along_axis(table, idx, -1), idx


# Number of distances per block, down to less than one query needs.
BLOCK_SIZES = [1, 100, 1000, 2**19]


@pytest.mark.parametrize(
    'size, kind, form, block_size', sampled(21, SIZES, CLOUDS, FORMS, BLOCK_SIZES)
)
def test_knn_equals_a_loop_bit_by_bit(size, kind, form, block_size, monkeypatch):
    choose_form(monkeypatch, form)
    monkeypatch.setattr(pairwise, 'MAX_ENTRIES_CPU', block_size)
    B, M, N, k = size
    query, points = CLOUDS[kind](B, M, seed=1), CLOUDS[kind](B, N, seed=2)
    dist, idx = naive_knn(query, points, k)
    found = knn(query, points, k)
    np.testing.assert_array_equal(found.idx, idx)
    np.testing.assert_array_equal(found.dist, dist)


@pytest.mark.parametrize('rows, k', sampled(6, [1, 2, 3, 7, 25, 40], [1, 5]))
def test_knn_gives_the_same_in_any_layout(monkeypatch, rows, k):
    query, points = tied_cloud(2, 20, seed=1), tied_cloud(2, 200, seed=2)
    expected = knn(query, points, k)
    choose_form(monkeypatch, 'torch')
    monkeypatch.setattr(neighbors, '_num_rows', lambda *_: rows)
    found = knn(query, points, k)
    assert torch.equal(found.idx, expected.idx)
    assert torch.equal(found.dist, expected.dist)


@pytest.mark.parametrize('nan', [float('nan'), -float('nan')])
@pytest.mark.parametrize('k', [1, 4])
def test_knn_stays_in_range_and_keeps_a_nan(nan, k):
    query, points = random_cloud(1, 3), random_cloud(1, 143, seed=1)
    query[0, 1] = nan
    found = knn(query, points, k)
    assert found.idx.max() < 143 and found.idx.min() >= 0
    assert found.dist[0, 1].isnan().all()
    assert found.dist[0, ::2].isfinite().all()


def test_a_point_that_is_not_finite_is_found_as_in_torch(monkeypatch):
    query, points = random_cloud(1, 9), random_cloud(1, 300, seed=1)
    points[0, 7, 1], points[0, 9, 0] = float('nan'), float('inf')
    found = [knn(query, points, k) for k in (1, 5)], ball_query(query, points, 0.4, 8)
    choose_form(monkeypatch, 'torch')
    for got, k in zip(found[0], (1, 5)):
        assert torch.equal(got.idx, knn(query, points, k).idx)
    assert torch.equal(found[1], ball_query(query, points, 0.4, 8))


def naive_ball_query(query, points, radius, num_samples, min_radius):
    inner, outer = np.float32(min_radius) ** 2, np.float32(radius) ** 2
    table = distance_table(query, points)
    result = np.zeros((*table.shape[:2], num_samples), dtype=int)
    for place in np.ndindex(table.shape[:2]):
        near = [i for i, dist in enumerate(table[place]) if dist == 0 or inner <= dist < outer]
        hits = near[:num_samples]
        if hits:
            result[place] = hits + hits[:1] * (num_samples - len(hits))
    return result


RADII = [(0.25, 0.0), (0.5, 0.25), (9.0, 0.0), (0.01, 0.0)]


@pytest.mark.parametrize(
    'size, kind, radii, form, block_size', sampled(42, SIZES, CLOUDS, RADII, FORMS, BLOCK_SIZES)
)
def test_ball_query_equals_a_loop(size, kind, radii, form, block_size, monkeypatch):
    choose_form(monkeypatch, form)
    monkeypatch.setattr(pairwise, 'MAX_ENTRIES_CPU', block_size)
    (B, M, N, S), (radius, min_radius) = size, radii
    query, points = CLOUDS[kind](B, M, seed=1), CLOUDS[kind](B, N, seed=2)
    expected = naive_ball_query(query, points, radius, S, min_radius)
    found = ball_query(query, points, radius, S, min_radius=min_radius)
    np.testing.assert_array_equal(found, expected)


def test_searches_are_in_float32_and_have_no_gradient():
    query = random_cloud(2, 50).requires_grad_()
    points = random_cloud(2, 400, seed=1)
    expected, hits = knn(query, points, 16), ball_query(query, points, 0.2, 8)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = knn(query, points, 16)
        assert torch.equal(ball_query(query, points, 0.2, 8), hits)
    assert torch.equal(found.idx, expected.idx)
    assert found.dist.dtype == torch.float32 and not found.dist.requires_grad
    assert torch.equal(knn(query.double(), points.double(), 16).idx, expected.idx)


def test_ties_count_up_and_empty_places_are_zero():
    found = knn(torch.zeros(1, 3, 3), torch.zeros(1, 500, 3), 40)
    assert torch.equal(found.idx, torch.arange(40).expand(1, 3, -1))
    found = ball_query(torch.zeros(1, 1, 3), torch.zeros(1, 2, 3), 1.0, 5)
    assert found.tolist() == [[[0, 1, 0, 0, 0]]]


def test_errors_say_what_is_wrong():
    query, points = torch.rand(1, 2, 3), torch.rand(1, 4, 3)
    rejects('k=5 .* N=4', knn, query, points, 5)
    rejects('k=0', knn, query, points, 0)
    rejects('share batch size', knn, query, torch.rand(2, 4, 3), 2)
    rejects('query must have shape', knn, query[0], points, 2)
    rejects('points is an empty', knn, query, points[:, :0], 1)
    for num_samples, inner in ((0, 0.0), (4, 0.1), (4, -1.0)):
        says = '0 <= min_radius < radius'
        rejects(says, ball_query, query, points, 0.1, num_samples, min_radius=inner)


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_the_default_type_changes_nothing(dtype):
    query, points = random_cloud(2, 5), random_cloud(2, 40, seed=1)
    expected = knn(query, points, 3)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        found = knn(query, points, 3)
    finally:
        torch.set_default_dtype(before)
    assert all(torch.equal(a, b) for a, b in zip(found, expected))


def test_without_compilation_or_its_cache_operators_run_in_torch(monkeypatch, caplog):
    loops = compiled.kernels()
    with monkeypatch.context() as patch:
        patch.setattr(loops.numba.config, 'DISABLE_JIT', 1)
        assert compiled.kernels.__wrapped__() is None and 'NUMBA_DISABLE_JIT' in caplog.text

    def full(*_):
        raise OSError('No space left on device')

    monkeypatch.setattr(loops, 'hashed', full)
    assert compiled.kernels.__wrapped__() is None and 'No space left' in caplog.text
