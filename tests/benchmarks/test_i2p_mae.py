"""The reference mode of I2P-MAE's benchmark matches our implementation."""

import pytest
import torch

from benchmarks.published_i2p_mae import propagate_by_id
from mmkd3d.models.layers.patches import RowBatchNorm
from mmkd3d.models.layers.pyramid import propagate_mask

from .forms import check_forms, check_gradients, gradients_of, small_model, with_published

pytest.importorskip('open_clip')


@pytest.fixture
def pair():
    """A tiny model in train mode, and its published form."""
    return with_published(small_model('i2p_mae')[0], 'i2p_mae')


@pytest.fixture
def points():
    """Clouds (5, 150, 3) with different extents."""
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(5, 150, 3, generator=generator)
    return (points * torch.tensor([0.5, 0.3, 0.2])).double()


def losses_of(model, points):
    """Losses with a fixed random seed."""
    torch.manual_seed(2)
    return model.loss(points, None)


def detached(losses):
    return {name: loss.detach() for name, loss in losses.items()}


def test_the_reference_has_our_losses_and_gradients(pair, points):
    """Covers the whole step from the input clouds, including batch norms."""
    losses, gradients = [], []
    for model in pair:
        found = losses_of(model, points)
        sum(found.values()).backward()
        losses.append(detached(found))
        gradients.append(gradients_of(model))
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0, check_dtype=False)
    assert {*losses[0]} == {'loss_chamfer', 'loss_semantic'}
    assert min(losses[0].values()) > 0
    # interpolation weights are rounded to float32
    check_gradients(*gradients, at_least=100, tolerance=1e-5, smallest=1e-3)
    for norm, theirs in zip(*map(batch_norms, pair)):
        torch.testing.assert_close(norm.running_var, theirs.running_var, rtol=1e-5, atol=0)


def test_the_reference_has_our_losses_in_float32(pair, points):
    """Uses the precision of the benchmark and our own batch norm."""
    torch.testing.assert_close(
        *(detached(losses_of(model.float(), points.float())) for model in pair), rtol=1e-4, atol=0
    )


def batch_norms(model):
    return [part for part in model.modules() if isinstance(part, RowBatchNorm)]


@pytest.mark.parametrize('embed_masked', [True, False])
def test_the_reference_has_our_losses_in_eval_mode(pair, points, embed_masked):
    """Embedding only the visible patches changes the result in train mode alone."""
    ours, published = pair
    losses_of(ours, points)  # updates the running statistics
    published.load_state_dict(ours.state_dict())
    ours.eval().backbone.embed_masked = embed_masked
    losses = [detached(losses_of(model, points)) for model in (ours, published.eval())]
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0, check_dtype=False)


def test_embedding_visible_patches_alone_differs_in_train_mode(pair, points):
    before = losses_of(pair[0], points)
    pair[0].backbone.embed_masked = False
    after = losses_of(pair[0], points)
    assert not torch.isclose(before['loss_semantic'], after['loss_semantic'], rtol=1e-4)


def test_every_part_has_its_published_form(pair):
    assert not check_forms(pair[1], 'i2p_mae')


def test_the_reference_draws_and_reads_as_ours(pair, points):
    model, published = (model.target for model in pair)
    views, theirs = model.forward_views(points), published.forward_views(points)
    images, frames = published.projector(points)
    torch.testing.assert_close(torch.stack(images, dim=1), model.projector(points))
    for name in ('low', 'cell', 'offset'):
        of_views = torch.cat([getattr(frame, name) for frame in frames], 1)
        assert torch.equal(of_views, getattr(views.frame, name)), name
    some = points[:, ::7]
    torch.testing.assert_close(published.features_at(theirs, some), model.features_at(views, some))
    torch.testing.assert_close(published.saliency_at(theirs, some), model.saliency_at(views, some))


def test_the_reference_draws_our_masks(pair):
    centers, scores = torch.zeros(6, 10, 3), torch.rand(6, 10)
    masks = []
    for model in pair:
        torch.manual_seed(3)
        masks.append(model.masker(centers, scores=4 * scores))
    assert torch.equal(*masks)
    assert (masks[0].sum(1) == 8).all()


def test_the_reference_shows_token_zero_of_the_first_cloud(pair, points):
    pyramid = pair[0].backbone.group(points)
    mask = torch.ones(5, 8, dtype=torch.bool)
    mask[:, 4] = False
    theirs = propagate_by_id(mask, pyramid)
    plain, slip = (propagate_mask(mask, pyramid, on) for on in (False, True))
    for i, masks in enumerate(zip(theirs, slip)):
        assert torch.equal(*masks), i
    assert plain[1][0, 0] and not slip[1][0, 0]
