"""Test clouds, and training steps that check every loss and gradient."""

import torch

# Sizes of a plain student; 8 x 3 channels.
SMALL = dict(embed_dims=24, depth=2, num_heads=3, num_groups=16, group_size=8, patch_dims=(8, 16))


def cloud(B=3, N=96, channels=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(B, N, channels, generator=generator)


def odd_clouds():
    return dict(
        one=cloud(1),
        no_more_than_a_patch=cloud(2, N=16),
        duplicated=cloud(2)[:, :5].repeat(1, 20, 1),
        origin=torch.zeros(2, 96, 3),
        line=cloud(2) * torch.tensor([0.0, 0.0, 1e4]),
        tiny=cloud(2) * 1e-12,  # FPS skips all points
        far=cloud(2) + 1e4,
        features=cloud(2, channels=6),
    )


def losses_of(model, points, samples=None):
    return model(dict(points=points), samples, mode='loss')


def total(losses):
    return sum(v for k, v in losses.items() if k.startswith('loss'))


def reached(model):
    """Names of the parameters with a non-zero gradient."""
    grads = {name: p.grad for name, p in model.named_parameters()}
    return {name for name, grad in grads.items() if grad is not None and grad.any()}


def check_step(model, points, samples=None, all_reached=False):
    """Check that all losses and the gradients of all trained parameters are finite.

    With ``all_reached``, also check that no gradient is zero.
    """
    losses = losses_of(model, points, samples)
    assert losses and all(value.isfinite().all() for value in losses.values()), losses
    total(losses).backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for name, parameter in trained.items():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert not all_reached or reached(model) == set(trained)
    return losses


def fall_of_loss(model, points, steps, lr=2e-3, samples=None):
    """Ratio of the last losses to the first ones, in a short training on one batch."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    history = []
    for step in range(steps):
        torch.manual_seed(step)
        loss = total(losses_of(model, points, samples))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(float(loss.detach()))
    return sum(history[-5:]) / sum(history[:5])
