"""Standardizer: statistics, inverse, checkpoints and errors."""

import pytest
import torch
import torch.nn as nn

from mmkd3d.models.targets.standardizer import Standardizer
from mmkd3d.registry import MODELS


def cone(n=200, D=16, seed=0):
    """Features like those of CLIP: a large common part, dimensions of very different scale."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.logspace(-3, 1, D)
    common = 5 * size * torch.randn(D, generator=generator)
    return common + size * torch.randn(n, D, generator=generator)


def fitted(feats):
    part = Standardizer(feats.shape[1])
    part.fit(feats)
    return part


def mean_cosine(feats):
    unit = nn.functional.normalize(feats, dim=-1)
    cosine = unit @ unit.T
    n = len(feats)
    return (cosine.sum() - cosine.trace()) / (n * (n - 1))


def test_statistics_are_those_of_each_dimension():
    feats = cone()
    part = fitted(feats)
    scaled = part.scale(feats)
    for d in range(16):
        column = feats[:, d].double()
        mean = column.sum() / 200
        std = ((column - mean) ** 2).sum().div(200).sqrt()
        expected = ((column - mean) / std).float()
        torch.testing.assert_close(scaled[:, d], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.mean(0), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(16))


def test_the_cone_is_opened_under_autocast_too():
    feats = cone()
    assert mean_cosine(feats) > 0.9
    part = fitted(feats)
    out = part(feats)
    assert abs(mean_cosine(out)) < 0.01
    torch.testing.assert_close(out.norm(dim=-1), torch.ones(200))
    assert part(feats.view(4, 5, 10, 16)).shape == (4, 5, 10, 16)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(part(feats), out)
    part.fit(cone(100, seed=2))  # replaces the earlier statistics
    assert torch.equal(part.mean, fitted(cone(100, seed=2)).mean) and part.count == 100


def test_narrow_cones_and_small_features_survive_in_float32():
    noise = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
    feats = 100 + 1e-2 * noise
    assert mean_cosine(feats) > 0.9999
    # The mean of 100 is accurate to 4e-6, which is 4e-4 of the spread.
    expected = fitted(noise).scale(noise)
    torch.testing.assert_close(fitted(feats).scale(feats), expected, rtol=0, atol=2e-3)
    small, expected = 1e-7 * cone(), fitted(cone()).scale(cone())
    torch.testing.assert_close(fitted(small).scale(small), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    'dtype, exact', [(torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 1e-6)]
)
def test_there_and_back(dtype, exact):
    feats = cone().to(dtype)
    part = fitted(feats)
    back = part.restore(part.scale(feats))
    assert back.dtype == torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(back, feats.to(back.dtype), rtol=exact, atol=exact)
    unit = nn.functional.normalize(feats.double(), dim=-1)
    part = fitted(unit)
    torch.testing.assert_close(
        part.restore(part.scale(unit.float())), unit.float(), rtol=0, atol=1e-6
    )


def test_checkpoints_have_the_statistics(tmp_path):
    feats = cone()
    owner = nn.ModuleDict(dict(targets=fitted(feats)))
    torch.save(owner.state_dict(), tmp_path / 'x.pth')
    other = nn.ModuleDict(dict(targets=Standardizer(16)))
    assert not other['targets'].is_fitted
    other.load_state_dict(torch.load(tmp_path / 'x.pth'), strict=True)
    assert other['targets'].is_fitted and other['targets'].count == 200
    assert torch.equal(other['targets'](feats), owner['targets'](feats))
    assert not list(other.parameters())


@pytest.mark.parametrize('value', [0.0, 0.1, -3.7, 1e4])
def test_a_constant_dimension_does_not_outweigh_the_others(value):
    feats = cone()
    feats[:, 3] = value
    feats[::2, 3] *= 1 + 1e-7  # rounding noise
    part = fitted(feats)
    assert part.std[3] == 1 and part.scale(feats)[:, 3].abs().max() < 2e-3
    rest = [d for d in range(16) if d != 3]
    out = part(feats)
    torch.testing.assert_close(
        out[:, rest], fitted(feats[:, rest])(feats[:, rest]), atol=1e-5, rtol=0
    )
    later = feats.clone()
    later[:, 3] += 0.01
    assert (part(later) - out).abs().max() < 0.02
    torch.testing.assert_close(part.restore(part.scale(later)), later)


def with_bad(value):
    feats = cone()
    feats[[3, 3, 70], [1, 2, 5]] = value
    return feats


@pytest.mark.parametrize(
    'feats, message',
    [
        (cone()[:1], 'at least 2 features, got 1'),
        (cone()[:, :1], r'\(n, 16\), got \(200, 1\)'),
        (cone().view(2, 100, 16), r'got \(2, 100, 16\)'),
        (cone()[:1].expand(9, -1), 'All 9 .* the same'),
        (with_bad(torch.nan), '^2 of 200 features are NaN or inf'),
        (with_bad(-torch.inf), '^2 of 200 features are NaN or inf'),
    ],
)
def test_other_features_are_refused(feats, message):
    part = MODELS.build(dict(type='mmkd3d.Standardizer', dims=16))
    with pytest.raises(ValueError, match=message):
        part.fit(feats)
    assert not part.is_fitted
    for use in (part, part.scale, part.restore):
        with pytest.raises(RuntimeError, match='Standardizer.*FitTargetsHook'):
            use(torch.ones(2, 16))
