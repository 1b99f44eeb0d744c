"""Token clusters against Lloyd's algorithm, image by image."""

import pytest
import torch

from mmkd3d.models.targets.concepts import find_regions


def pictures(P=4, L=20, D=6, seed=0):
    """Tokens, saliency and a foreground mask of two thirds."""
    generator = torch.Generator().manual_seed(seed)
    foreground = torch.rand(P, L, generator=generator) < 0.67
    foreground[:, 3] = True
    tokens = torch.randn(P, L, D, generator=generator)
    return tokens, torch.rand(P, L, generator=generator), foreground


def lloyd(tokens, saliency, num_regions, num_iters):
    """Cluster means of one image's foreground; None for empty clusters."""
    tokens = tokens.double()
    centers = [tokens[saliency.argmax()]]
    while len(centers) < num_regions:
        far = [min((t - c).norm() for c in centers) for t in tokens]
        centers.append(tokens[far.index(max(far))])
    for _ in range(num_iters):
        clusters = [[] for _ in centers]
        for t in tokens:
            distances = [(t - c).norm() for c in centers]
            clusters[distances.index(min(distances))].append(t)
        means = [torch.stack(c).mean(0) if c else None for c in clusters]
        centers = [c if m is None else m for m, c in zip(means, centers)]
    return means


@pytest.mark.parametrize('num_regions, num_iters', [(1, 5), (2, 1), (3, 5), (8, 5)])
def test_regions_are_those_of_the_loop(num_regions, num_iters):
    tokens, saliency, foreground = pictures(P=6)
    # Some images have fewer tokens than clusters.
    foreground[4, 4:], foreground[5, :] = False, False
    foreground[5, 7] = True
    out = find_regions(tokens, saliency, foreground, num_regions, num_iters)
    assert out.feats.shape == (6, num_regions, 6)
    assert out.found.shape == (6, num_regions)
    for p in range(6):
        inside = foreground[p]
        means = lloyd(tokens[p, inside], saliency[p, inside], num_regions, num_iters)
        assert out.found[p].tolist() == [m is not None for m in means]
        for got, mean in zip(out.feats[p], means):
            expected = torch.zeros(6) if mean is None else mean.float()
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_the_first_region_begins_at_the_most_salient_token():
    tokens = torch.tensor([[[0.0], [1.0], [4.0], [9.0], [10.0]]])
    saliency = torch.tensor([[0.0, 0.0, 1.0, 0.0, 2.0]])
    foreground = torch.ones(1, 5, dtype=torch.bool)
    out = find_regions(tokens, saliency, foreground, 2)
    assert out.feats.flatten().tolist() == pytest.approx([9.5, 5 / 3])
    foreground[0, 4] = False  # Now it begins at 4; 9 is the farthest token.
    out = find_regions(tokens, saliency, foreground, 2)
    assert out.feats.flatten().tolist() == pytest.approx([5 / 3, 9.0])


def test_every_run_and_every_batch_gives_the_same():
    given = pictures(P=7)
    torch.manual_seed(1)
    first = find_regions(*given, 3)
    torch.manual_seed(2)
    again = find_regions(*given, 3)
    assert all(map(torch.equal, first, again))
    for p in range(7):
        alone = find_regions(*(x[p : p + 1] for x in given), 3)
        torch.testing.assert_close(alone.feats[0], first.feats[p], rtol=0, atol=1e-6)
        assert torch.equal(alone.found[0], first.found[p])


def test_the_background_does_not_matter_and_without_foreground_nothing_is_found():
    tokens, saliency, foreground = pictures()
    expected = find_regions(tokens, saliency, foreground, 3)
    looks = saliency.masked_fill(~foreground, 9.0)
    for value in (100.0, float('inf'), float('nan')):
        spoiled = tokens.masked_fill(~foreground[..., None], value)
        got = find_regions(spoiled, looks, foreground, 3)
        assert all(map(torch.equal, got, expected))
    assert expected.found.all()
    foreground[1] = False
    out = find_regions(tokens, saliency, foreground, 3)
    assert not out.found[1].any() and not out.feats[1].any()
    others = [0, 2, 3]
    torch.testing.assert_close(out.feats[others], expected.feats[others])


@pytest.mark.parametrize('different', [1, 2, 4])
def test_no_more_regions_than_different_tokens(different):
    tokens, saliency, foreground = pictures(L=12)
    tokens = tokens[:, torch.arange(12) % different]
    foreground[:, :4] = True
    out = find_regions(tokens, saliency, foreground, 6)
    assert (out.found.sum(1) == different).all()
    for p in range(4):
        got = sorted(out.feats[p][out.found[p]].tolist())
        for a, b in zip(got, sorted(tokens[p, :different].tolist())):
            assert a == pytest.approx(b, abs=1e-6)


def test_half_precision_around_it_does_not_reach_it():
    given = pictures()
    expected = find_regions(*given, 3)
    with torch.autocast('cpu', torch.bfloat16):
        got = find_regions(*given, 3)
    assert torch.equal(got.feats, expected.feats)
    half = find_regions(given[0].half().requires_grad_(), *given[1:], 3)
    assert half.feats.dtype == torch.float32 and not half.feats.requires_grad
    torch.testing.assert_close(half.feats, expected.feats, rtol=0, atol=0.01)
