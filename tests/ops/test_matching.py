"""Optimal and greedy matching against brute force and loops."""

from itertools import permutations

import pytest
import torch

from mmkd3d.ops.matching import match
from tests.helpers import rejects

SIZES = [(1, 1), (1, 4), (4, 1), (3, 3), (2, 6), (6, 2), (5, 6), (6, 5), (6, 6)]


def random_similarity(M, S, B=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(B, M, S, generator=generator) - 1


def best_pairs(similarity):
    """Optimal pairs of one sample, by trying all permutations."""
    M, S = similarity.shape
    if M > S:
        return {(row, column) for column, row in best_pairs(similarity.T)}
    ways = [list(enumerate(way)) for way in permutations(range(S), M)]
    return set(max(ways, key=lambda way: sum(similarity[p] for p in way)))


def greedy_pairs(similarity):
    """Greedy pairs of one sample."""
    M, S = similarity.shape
    left = [(row, column) for row in range(M) for column in range(S)]
    pairs = []
    while left:
        best = max(left, key=lambda pair: similarity[pair])  # The first maximum.
        pairs.append(best)
        left = [p for p in left if p[0] != best[0] and p[1] != best[1]]
    return pairs


def pairs_of(rows, columns):
    assert rows.dtype == columns.dtype == torch.long
    return [list(zip(r, c)) for r, c in zip(rows.tolist(), columns.tolist())]


@pytest.mark.parametrize('size', SIZES)
def test_exact_pairs_are_the_best_of_all_and_greedy_pairs_those_of_a_loop(size):
    similarity = random_similarity(*size)
    before = similarity.clone()
    for pairs, sample in zip(pairs_of(*match(similarity)), similarity.double().numpy()):
        assert len(pairs) == min(size) and pairs == sorted(pairs)
        assert set(pairs) == best_pairs(sample)
    got = pairs_of(*match(similarity, 'greedy'))
    assert got == [greedy_pairs(s) for s in similarity.numpy()]
    assert torch.equal(similarity, before)


def test_of_equal_ones_greedy_takes_the_first_and_exact_the_largest_sum():
    equal = torch.tensor([[[0.5, 0.5, 0.1], [0.5, 0.5, 0.5]], [[-1.0] * 3] * 2])
    rows, columns = match(equal, 'greedy')
    assert rows.tolist() == columns.tolist() == [[0, 1], [0, 1]]
    rounded = random_similarity(4, 5, B=40).mul(2).round()
    assert pairs_of(*match(rounded, 'greedy')) == [greedy_pairs(s) for s in rounded.numpy()]
    for pairs, sample in zip(pairs_of(*match(rounded)), rounded.numpy()):
        best = sum(sample[p] for p in best_pairs(sample))
        assert sum(sample[p] for p in pairs) == best


@pytest.mark.parametrize('how', ['exact', 'greedy'])
@pytest.mark.parametrize('size', [(4, 6), (6, 6), (6, 3)])
def test_the_order_of_rows_and_columns_does_not_matter(how, size):
    similarity = random_similarity(*size, seed=1)
    generator = torch.Generator().manual_seed(2)
    row, column = (torch.randperm(n, generator=generator) for n in size)
    expected = [set(p) for p in pairs_of(*match(similarity, how))]
    rows, columns = match(similarity[:, row][:, :, column], how)
    assert [set(p) for p in pairs_of(row[rows], column[columns])] == expected


def test_no_gradient_every_precision_and_errors():
    similarity = random_similarity(3, 4).requires_grad_()
    for dtype in (torch.float64, torch.bfloat16):
        rows, columns = match(similarity.to(dtype), 'exact')
        assert not rows.requires_grad and rows.shape == columns.shape == (5, 3)
    for value in ('nan', 'inf', '-inf'):
        similarity = random_similarity(3, 4)
        similarity[[1, 3], 2, 0] = float(value)
        for how in ('exact', 'greedy'):
            rejects(r'samples \[1, 3\] of a batch of 5', match, similarity, how)
    rejects("exact, greedy, got 'best'", match, random_similarity(2, 2), 'best')
