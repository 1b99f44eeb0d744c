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
@pytest.mark.parametrize('ratio, G', [(0.0, 7), (0.25, 1), (0.6, 7), (0.8, 64), (0.99, 64)])
def test_mask_ratio_is_exact(kind, ratio, G):
    mask = build(kind, ratio)(torch.rand(5, G, 3), scores=torch.rand(5, G))
    assert mask.dtype == torch.bool and mask.shape == (5, G)
    assert (mask.sum(1) == int(ratio * G)).all()


@pytest.mark.parametrize('kind', KINDS)
def test_mask_depends_on_the_generator_alone(kind):
    centers, masker = torch.rand(4, 32, 3), build(kind)
    scores = torch.rand(4, 32)

    def draw(seed):
        return masker(centers, scores=scores, generator=seeded(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    for _ in range(2):
        torch.manual_seed(5)
        first, second = (masker(centers, scores=scores) for _ in range(2))
        assert not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(masker(centers, scores=scores), first)


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


@pytest.mark.parametrize('ratio', [-0.1, 1.0])
def test_a_ratio_that_leaves_nothing_visible_is_an_error(ratio):
    with pytest.raises(ValueError, match=str(ratio)):
        build('RandomMasker', ratio)


@pytest.mark.parametrize('standardize', [False, True])
def test_low_temperature_keeps_the_highest_scores_visible(standardize):
    scores = torch.rand(6, 40) * 1e-2  # as small as attention is
    masker = build('SaliencyMasker', 0.75, temperature=1e-8, standardize=standardize)
    mask = masker(torch.zeros(6, 40, 3), scores=scores)
    top = scores.topk(10).indices
    assert not mask.gather(1, top).any() and mask.sum() == 6 * 30


def frequencies(num, scores, generator, **options):
    """How often each patch is visible and which one is drawn first."""
    G = len(scores)
    masker = build('SaliencyMasker', **options)
    scores, noise = scores.expand(num, G), torch.empty(num, G)
    rank = masker.rank(scores, noise.exponential_(generator=generator))
    first = rank.argmax(1).bincount(minlength=G)
    mask = masker(torch.zeros(num, G, 3), scores=scores, generator=generator)
    return first, (~mask).float().mean(0)


def assert_frequencies(counts, probability):
    """Chi-square below its mean plus five deviations."""
    expected = probability * counts.sum()
    assert expected.min() > 20  # or the statistic has another distribution
    degrees = len(counts) - 1
    statistic = ((counts - expected).square() / expected).sum()
    assert statistic < degrees + 5 * (2 * degrees) ** 0.5


@pytest.mark.parametrize('temperature, standardize', [(1.0, False), (0.7, True), (3.0, False)])
def test_the_first_patch_is_drawn_by_the_softmax(temperature, standardize):
    scores = torch.linspace(-1, 1, 12)[torch.randperm(12)]
    first, visible = frequencies(
        20000, scores, seeded(0), ratio=0.5, temperature=temperature, standardize=standardize
    )
    if standardize:
        scores = (scores - scores.mean()) / scores.std(correction=0)
    assert_frequencies(first, (scores / temperature).softmax(0))
    assert torch.equal(visible.sort().indices[[0, -1]], scores.sort().indices[[0, -1]])


def test_the_second_patch_is_drawn_from_what_is_left():
    scores = torch.tensor([0.0, 0.5, 1.0, 1.5])
    p = scores.softmax(0)
    noise = torch.empty(20000, 4).exponential_(generator=seeded(1))
    rank = build('SaliencyMasker').rank(scores.expand(20000, 4), noise)
    drawn = rank.argsort(1, descending=True)[:, :2]
    counts = (drawn[:, 0] * 4 + drawn[:, 1]).bincount(minlength=16).view(4, 4)
    expected = p[:, None] * p / (1 - p[:, None])
    off = ~torch.eye(4, dtype=torch.bool)
    assert not counts[~off].any()
    assert_frequencies(counts[off], expected[off])


def test_high_temperature_is_a_random_mask():
    first, visible = frequencies(
        20000, torch.linspace(0, 30, 10), seeded(2), ratio=0.6, temperature=1e6
    )
    assert_frequencies(first, torch.full((10,), 0.1))
    assert (visible - 0.4).abs().max() < 0.02


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


def test_equal_scores_are_a_random_mask():
    for standardize in (False, True):
        masker = build('SaliencyMasker', standardize=standardize)
        rank = masker.rank(torch.full((1, 8), 0.3), torch.rand(1, 8) + 0.01)
        assert rank.isfinite().all()
        masks = masker(torch.zeros(9, 8, 3), scores=torch.zeros(9, 8))
        assert len(masks.unique(dim=0)) > 1


def test_masks_are_drawn_in_float32_under_autocast():
    scores, noise = torch.rand(3, 50) * 1e-3, torch.rand(3, 50) + 0.01
    masker = build('SaliencyMasker', temperature=1e-3)
    expected = masker.rank(scores, noise)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(masker.rank(scores, noise), expected)


def test_a_target_is_asked_about_the_points():
    masker = build('SaliencyMasker', 0.75, target=DENSE, temperature=1e-9)
    points = torch.randn(3, 100, 3, generator=seeded(0))
    points[1] = 0  # a dot
    centers = points[:, ::5]
    with torch.no_grad():
        scores = masker.target.saliency_at(masker.target.forward_views(points), centers)
    mask = masker(centers, points=points)
    for row, hidden in zip(scores[::2], mask[::2]):
        assert row[~hidden].min() >= row[hidden].max()
    assert (mask.sum(1) == 15).all()
    given = masker(centers, points=points, scores=-scores)
    assert not torch.equal(given, mask)


def test_given_scores_save_the_teacher():
    masker = build('SaliencyMasker', target=DENSE)
    before = StubDenseTeacher.images
    masker(torch.rand(2, 9, 3), points=torch.rand(2, 20, 3), scores=torch.rand(2, 9))
    assert StubDenseTeacher.images == before
    masker(torch.rand(2, 9, 3), points=torch.rand(2, 20, 3))
    assert StubDenseTeacher.images == before + 6


def test_a_guided_masker_follows_its_owner_and_leaves_no_state():
    owner = torch.nn.Module()
    owner.masker = build('SaliencyMasker', target=DENSE)
    assert not owner.state_dict() and not list(owner.parameters())
    owner.double().train()
    net = owner.masker.target.teacher.net
    assert net.weight.dtype == torch.float64 and not net.training


@pytest.mark.parametrize(
    'options, call',
    [(dict(), dict()), (dict(), dict(points=torch.rand(2, 9, 3))), (dict(target=DENSE), dict())],
)
def test_without_scores_and_a_way_to_them_nothing_is_drawn(options, call):
    with pytest.raises(ValueError, match='scores of the patches, or a target'):
        build('SaliencyMasker', **options)(torch.rand(2, 9, 3), **call)


@pytest.mark.parametrize('value', [torch.nan, -torch.inf])
def test_saliency_that_is_not_finite_names_its_clouds(value):
    scores = torch.rand(4, 9)
    scores[2, 3] = value
    with pytest.raises(ValueError, match=r'clouds \[2\] .* not finite'):
        build('SaliencyMasker')(torch.rand(4, 9, 3), scores=scores)


def test_points_that_are_not_finite_are_named_too():
    points = torch.rand(2, 20, 3)
    points[1, 4, 0] = torch.nan
    with pytest.raises(ValueError, match=r'clouds \[1\]'):
        build('SaliencyMasker', target=DENSE)(points[:, :9], points=points)


def test_scores_of_another_shape_are_an_error():
    with pytest.raises(ValueError, match=r'\(2, 9\).*got \(2, 8\)'):
        build('SaliencyMasker')(torch.rand(2, 9, 3), scores=torch.rand(2, 8))


@pytest.mark.parametrize('temperature', [0.0, float('nan')])
def test_a_temperature_must_be_above_zero(temperature):
    with pytest.raises(ValueError, match='must be positive'):
        build('SaliencyMasker', temperature=temperature)
