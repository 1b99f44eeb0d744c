"""The reference mode of Point-MAE's benchmark matches our implementation."""

import torch

from .forms import check_forms, check_gradients, gradients_of, small_model, with_published


def test_the_reference_has_our_loss_and_gradients(monkeypatch):
    model, _ = small_model('point_mae')
    points = torch.randn(6, 100, 3).double()
    mask = torch.arange(32).expand(6, 32) % 5 > 1
    pair = with_published(model, 'point_mae')
    assert not check_forms(pair[1], 'point_mae')
    losses, gradients = [], []
    for model in pair:
        monkeypatch.setattr(model, 'draw_mask', lambda *_: mask)
        loss = sum(model.loss(points, None).values())
        loss.backward()
        losses.append(loss.detach())
        gradients.append(gradients_of(model))
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0, check_dtype=False)
    check_gradients(*gradients, at_least=40, tolerance=1e-5, smallest=1e-6)
