"""Maskers: exact ratio, seed, region."""
import pytest
import torch

from mmkd3d.registry import TASK_UTILS


def build(kind, ratio=0.6):
    return TASK_UTILS.build(dict(type=f'mmkd3d.{kind}', ratio=ratio))


@pytest.mark.parametrize('kind', ['RandomMasker', 'BlockMasker'])
@pytest.mark.parametrize('ratio', [0., 0.25, 0.6, 0.8, 0.99])
@pytest.mark.parametrize('G', [1, 7, 64])
def test_mask_ratio_is_exact(kind, ratio, G):
    mask = build(kind, ratio)(torch.rand(5, G, 3))
    assert mask.dtype == torch.bool and mask.shape == (5, G)
    assert (mask.sum(1) == int(ratio * G)).all()


@pytest.mark.parametrize('kind', ['RandomMasker', 'BlockMasker'])
def test_mask_depends_on_the_generator_alone(kind):
    centers, masker = torch.rand(4, 32, 3), build(kind)

    def draw(seed):
        return masker(centers, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_rows_of_a_random_mask_differ():
    mask = build('RandomMasker')(torch.zeros(8, 64, 3))
    assert len(torch.unique(mask, dim=0)) == 8


def test_block_masks_the_neighbours_of_one_patch():
    centers = torch.rand(6, 40, 3)
    mask = build('BlockMasker', 0.3)(centers)
    for row, hidden in zip(centers, mask):
        distance = torch.cdist(row, row)
        regions = [
            set(d.argsort()[:12].tolist()) for d in distance]
        assert set(hidden.nonzero().flatten().tolist()) in regions


@pytest.mark.parametrize('ratio', [-0.1, 1., 1.5])
def test_a_ratio_that_leaves_nothing_visible_is_an_error(ratio):
    with pytest.raises(ValueError, match=str(ratio)):
        build('RandomMasker', ratio)
