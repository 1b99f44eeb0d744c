"""Maskers: exact ratio, seed, region, scores."""

import pytest
import torch

from mmkd3d.registry import TASK_UTILS

from ..stub_teachers import DENSE, StubDenseTeacher

KINDS = ['RandomMasker', 'BlockMasker', 'SaliencyMasker']


def build(kind, ratio=0.6, **options):
    return TASK_UTILS.build(dict(type=f'mmkd3d.{kind}', ratio=ratio, **options))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize('kind', KINDS)
def test_mask_ratio_is_exact(kind):
    for ratio, G in ((0.0, 7), (0.25, 64), (0.6, 7), (0.8, 64), (0.99, 64), (0.6, 1)):
        mask = build(kind, ratio)(torch.rand(5, G, 3), scores=torch.rand(5, G))
        assert mask.dtype == torch.bool and mask.shape == (5, G)
        assert (mask.sum(1) == int(ratio * G)).all()


@pytest.mark.parametrize('kind', KINDS)
def test_mask_depends_on_the_generator_alone(kind):
    centers, masker = torch.rand(4, 32, 3), build(kind)
    scores = torch.rand(4, 32)

    def draw(generator=None):
        return masker(centers, scores=scores, generator=generator)

    assert torch.equal(draw(seeded(1)), draw(seeded(1)))
    assert not torch.equal(draw(seeded(1)), draw(seeded(2)))
    torch.manual_seed(5)
    first, second = draw(), draw()
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(draw(), first)


def test_rows_of_a_random_mask_differ():
    mask = build('RandomMasker')(torch.zeros(8, 64, 3))
    assert len(torch.unique(mask, dim=0)) == 8


def test_block_masks_the_neighbours_of_one_patch():
    centers = torch.rand(6, 40, 3)
    mask = build('BlockMasker', 0.3)(centers)
    for row, hidden in zip(centers, mask):
        distance = torch.cdist(row, row)
        regions = [set(d.argsort()[:12].tolist()) for d in distance]
        assert set(hidden.nonzero().flatten().tolist()) in regions


def frequencies(num, scores, generator, **options):
    """How often each patch is drawn first, and how often it is visible."""
    G = len(scores)
    masker = build('SaliencyMasker', **options)
    scores, noise = scores.expand(num, G), torch.empty(num, G)
    rank = masker.rank(scores, noise.exponential_(generator=generator))
    first = rank.argmax(1).bincount(minlength=G)
    mask = masker(torch.zeros(num, G, 3), scores=scores, generator=generator)
    return first, (~mask).float().mean(0)


def assert_frequencies(counts, probability):
    """Check that chi-square is below its mean plus five standard deviations."""
    expected = probability * counts.sum()
    assert expected.min() > 20  # otherwise the statistic is not chi-square
    degrees = len(counts) - 1
    statistic = ((counts - expected).square() / expected).sum()
    assert statistic < degrees + 5 * (2 * degrees) ** 0.5


@pytest.mark.parametrize('temperature, standardize', [(1.0, False), (0.7, True), (3.0, False)])
def test_the_first_patch_is_drawn_by_the_softmax(temperature, standardize):
    scores = torch.linspace(-1, 1, 12)[torch.randperm(12)]
    options = dict(ratio=0.5, temperature=temperature, standardize=standardize)
    first, visible = frequencies(20000, scores, seeded(0), **options)
    if standardize:
        scores = (scores - scores.mean()) / scores.std(correction=0)
    assert_frequencies(first, (scores / temperature).softmax(0))
    assert torch.equal(visible.sort().indices[[0, -1]], scores.sort().indices[[0, -1]])


def test_the_rank_is_that_of_probability_over_noise():
    scores, noise = torch.rand(5, 30), torch.rand(5, 30) + 0.01
    rank = build('SaliencyMasker').rank(scores, noise)
    published = (scores.softmax(1) / noise).argsort(1, descending=True)
    assert torch.equal(rank.argsort(1, descending=True), published)


def test_standard_scores_do_not_know_scale_and_shift():
    scores, noise = torch.rand(4, 20), torch.rand(4, 20) + 0.01
    masker = build('SaliencyMasker', standardize=True)
    torch.testing.assert_close(
        masker.rank(scores * 1e-4 + 3e-3, noise), masker.rank(scores, noise), atol=1e-2, rtol=0
    )
    plain = build('SaliencyMasker')
    assert not torch.allclose(plain.rank(scores * 9, noise), plain.rank(scores, noise), atol=1e-2)


def test_low_temperature_keeps_the_highest_scores_visible_and_equal_ones_at_random():
    scores = torch.rand(6, 40) * 1e-2  # the scale of attention weights
    top = scores.topk(10).indices
    for standardize in (False, True):
        masker = build('SaliencyMasker', 0.75, temperature=1e-8, standardize=standardize)
        mask = masker(torch.zeros(6, 40, 3), scores=scores)
        assert not mask.gather(1, top).any() and mask.sum() == 6 * 30
        masker = build('SaliencyMasker', standardize=standardize)
        rank = masker.rank(torch.full((1, 8), 0.3), torch.rand(1, 8) + 0.01)
        assert rank.isfinite().all()
        masks = masker(torch.zeros(9, 8, 3), scores=torch.zeros(9, 8))
        assert len(masks.unique(dim=0)) > 1
    # a high temperature also draws at random
    options = dict(ratio=0.6, temperature=1e6)
    first, visible = frequencies(20000, torch.linspace(0, 30, 10), seeded(2), **options)
    assert_frequencies(first, torch.full((10,), 0.1))
    assert (visible - 0.4).abs().max() < 0.02


def test_masks_are_drawn_in_float32_under_autocast():
    scores, noise = torch.rand(3, 50) * 1e-3, torch.rand(3, 50) + 0.01
    masker = build('SaliencyMasker', temperature=1e-3)
    expected = masker.rank(scores, noise)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(masker.rank(scores, noise), expected)


def test_a_target_scores_the_points_unless_scores_are_given():
    masker = build('SaliencyMasker', 0.75, target=DENSE, temperature=1e-9)
    points = torch.randn(3, 100, 3, generator=seeded(0))
    points[1] = 0  # all points coincide
    centers = points[:, ::5]
    with torch.no_grad():
        scores = masker.target.saliency_at(masker.target.forward_views(points), centers)
    before = StubDenseTeacher.images
    mask = masker(centers, points=points)
    assert StubDenseTeacher.images == before + 9
    for row, hidden in zip(scores[::2], mask[::2]):
        assert row[~hidden].min() >= row[hidden].max()
    assert (mask.sum(1) == 15).all()
    given = masker(centers, points=points, scores=-scores)
    assert not torch.equal(given, mask)
    assert StubDenseTeacher.images == before + 9


def test_a_guided_masker_follows_its_owner_and_leaves_no_state():
    owner = torch.nn.Module()
    owner.masker = build('SaliencyMasker', target=DENSE)
    assert not owner.state_dict() and not list(owner.parameters())
    owner.double().train()
    net = owner.masker.target.teacher.net
    assert net.weight.dtype == torch.float64 and not net.training


def with_value(shape, index, value):
    x = torch.rand(shape)
    x[index] = value
    return x


POINTS = torch.rand(4, 9, 3)
BAD_POINTS = dict(points=with_value((4, 20, 3), (2, 4, 0), torch.nan))
NO_SCORES = 'scores of the patches, or a target'
NOT_FINITE = r'clouds \[2\] .* not finite'


@pytest.mark.parametrize(
    'options, call, message',
    [
        (dict(), dict(), NO_SCORES),
        (dict(), dict(points=POINTS), NO_SCORES),
        (dict(target=DENSE), dict(), NO_SCORES),
        (dict(), dict(scores=with_value((4, 9), (2, 3), torch.nan)), NOT_FINITE),
        (dict(), dict(scores=with_value((4, 9), (2, 3), -torch.inf)), NOT_FINITE),
        (dict(target=DENSE), BAD_POINTS, r'clouds \[2\]'),
        (dict(), dict(scores=torch.rand(4, 8)), r'\(4, 9\).*got \(4, 8\)'),
        (dict(temperature=0.0), dict(), 'must be positive'),
        (dict(temperature=torch.nan), dict(), 'must be positive'),
        (dict(ratio=-0.1), dict(), '-0.1'),
        (dict(ratio=1.0), dict(), '1.0'),
    ],
)
def test_bad_settings_and_scores_are_refused(options, call, message):
    with pytest.raises(ValueError, match=message):
        build('SaliencyMasker', **options)(POINTS, **call)
