"""Contrastive loss across processes equals that of the joined batch."""

import pytest
import torch

from mmkd3d.registry import MODELS

CATEGORIES = list('abacba')


def contrast(gather: bool):
    torch.manual_seed(0)
    return MODELS.build(
        dict(type='mmkd3d.SingleModalContrast', embed_dims=8, proj_dims=8, gather=gather)
    ).eval()


def feats():
    return torch.randn(6, 8, generator=torch.Generator().manual_seed(3))


def loss_and_grads(rank):
    half = slice(3 * rank, 3 * rank + 3)
    mine = feats()[half].requires_grad_()
    model = contrast(gather=True)
    loss = model(mine, CATEGORIES[half])
    loss.backward()
    return loss.detach(), mine.grad, model.proj[0].weight.grad


@pytest.mark.slow
@pytest.mark.xdist_group('ranks')
def test_gathered_contrast_is_that_of_the_joined_batch(ranks):
    losses, grads, weights = zip(*ranks(loss_and_grads))
    whole, model = feats().requires_grad_(), contrast(gather=False)
    loss = model(whole, CATEGORIES)
    loss.backward()
    torch.testing.assert_close(sum(losses) / 2, loss.detach())
    # Each rank sums the gradients of all losses; DDP averages over ranks.
    torch.testing.assert_close(torch.cat(grads) / 2, whole.grad)
    torch.testing.assert_close(sum(weights) / 2, model.proj[0].weight.grad)
