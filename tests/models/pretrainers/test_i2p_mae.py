"""I2P-MAE: what is compared with what."""

import pytest
import torch

from mmkd3d.models.layers.pyramid import VisibleTokens
from mmkd3d.ops import gather

from ..small_m2ae import build, clouds, i2p_mae


def test_targets_are_the_features_at_the_points_of_visible_patches():
    model, points = build(i2p_mae()), clouds()
    patches = model.backbone.group(points)
    seen = model.see(points)
    out = model.decode(patches, model.guided_mask(seen, patches))
    targets = model.targets(seen, points, patches, VisibleTokens.of(out.mask))
    expected = []
    for b, visible in enumerate((~out.mask).tolist()):
        for g in (g for g, v in enumerate(visible) if v):
            own = patches[1].point_idx[b, g]
            positions = patches[0].centers[b, own]  # not the shifted patch
            feats = model.target.features_at(seen, positions.expand(len(points), -1, -1))
            expected.append(feats[b])
    torch.testing.assert_close(targets, torch.stack(expected))
    assert not targets.requires_grad


def test_at_the_finest_level_targets_are_those_of_the_points():
    model, points = build(i2p_mae(2, 2)), clouds()
    patches = model.backbone.group(points)
    seen = model.see(points)
    mask = torch.zeros(patches[0].centers.shape[:2], dtype=torch.bool)
    targets = model.targets(seen, points, patches, VisibleTokens.of(mask))
    positions = gather(points, patches[0].point_idx.flatten(1))
    expected = model.target.features_at(seen, positions)
    torch.testing.assert_close(targets.flatten(), expected.flatten())


def test_standardised_maps_have_mean_0_and_variance_1():
    model, points = build(i2p_mae(standardize=True)), clouds()
    plain = model.target.forward_views(points)
    seen = model.see(points)
    feats = seen.feats.transpose(0, 2).flatten(1)  # a row for each channel
    torch.testing.assert_close(feats.mean(1), torch.zeros(len(feats)), atol=1e-4, rtol=0)
    raw = plain.feats.transpose(0, 2).flatten(1)
    moving = raw.var(1) > 1e-3
    assert moving.any()
    torch.testing.assert_close(
        feats.var(1, correction=0)[moving], torch.ones(int(moving.sum())), atol=2e-2, rtol=0
    )
    assert torch.equal(seen.saliency, plain.saliency)
    model.eval()
    assert not torch.allclose(model.see(points).feats, seen.feats)


@pytest.mark.parametrize(
    'options, names',
    [(dict(semantic_loss=None), {'loss_chamfer'}), (dict(), {'loss_chamfer', 'loss_semantic'})],
)
def test_losses(options, names):
    model = build(i2p_mae(**options))
    losses = model.loss(clouds(), None)
    assert losses.keys() == names
    assert all(torch.isfinite(v) and v > 0 for v in losses.values())


@pytest.mark.parametrize(
    'name, own, other',
    [('loss_chamfer', 'to_points', 'to_feats'), ('loss_semantic', 'to_feats', 'to_points')],
)
def test_each_loss_teaches_the_student_through_its_own_head(name, own, other):
    model = build(i2p_mae())
    model.loss(clouds(), None)[name].backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    wanted = {n for n, p in model.named_parameters() if p.requires_grad}
    assert reached == {n for n in wanted if not n.startswith(other)}
    assert any(n.startswith(own) for n in reached)


@torch.no_grad()
def test_losses_are_those_of_loops_over_tokens():
    model, points = build(i2p_mae()), clouds()
    patches, seen = model.backbone.group(points), model.see(points)
    out = model.decode(patches, model.guided_mask(seen, patches))
    targets = model.targets(seen, points, patches, VisibleTokens.of(out.mask))
    losses = model.losses(out) | model.semantic_losses(out, targets)
    forth, back, squares, visible = [], [], [], 0
    for b, row in enumerate(out.mask.tolist()):
        for g, masked in enumerate(row):
            token = out.tokens[b, g]
            if masked:
                gaps = torch.cdist(
                    model.to_points(token).view(-1, 3), out.patches.points[b, g]
                ).square()
                forth += gaps.amin(1).tolist()
                back += gaps.amin(0).tolist()
            else:
                pred = model.to_feats(token).view(4, -1)
                squares += (pred - targets[visible]).square().flatten()
                visible += 1
    chamfer = sum(forth) / len(forth) + sum(back) / len(back)
    assert losses['loss_chamfer'].item() == pytest.approx(chamfer, rel=1e-4)
    torch.testing.assert_close(losses['loss_semantic'], torch.stack(squares).mean())


def test_the_teacher_sees_each_cloud_once_in_a_step(monkeypatch):
    model, calls = build(i2p_mae()), []
    see = model.target.teacher.forward_dense
    monkeypatch.setattr(
        model.target.teacher,
        'forward_dense',
        lambda images: calls.append(len(images)) or see(images),
    )
    model.loss(clouds(4), None)
    assert calls == [12]


def test_pictures_in_parts_give_the_same_maps():
    model, points = build(i2p_mae()), clouds(4)
    whole = model.see(points)
    model.target.images_at_once = 5
    parts = model.see(points)
    for a, b in zip(whole[:2], parts[:2]):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    'cfg, message',
    [
        (
            dict(type='mmkd3d.M2AE', backbone=dict(type='mmkd3d.PointTransformer')),
            'M2AE is for students with levels, .* got PointTransformer',
        ),
        (
            dict(type='mmkd3d.PointMAE', backbone=i2p_mae()['backbone']),
            'PointMAE is for students without levels, got PointM2AE',
        ),
    ],
)
def test_methods_say_which_students_they_are_for(cfg, message):
    parts = {k: i2p_mae()[k] for k in ('decoder', 'masker', 'loss')}
    with pytest.raises(ValueError, match=message):
        build(dict(parts, **cfg))
