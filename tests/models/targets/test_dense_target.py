"""Dense targets at points, compared with upsampled maps."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mmkd3d.models.targets.dense import DenseTarget
from mmkd3d.registry import MODELS

from ..stub_teachers import DENSE, StubDenseTeacher

STUB, SMALL = DENSE['teacher'], DENSE['projector']


def clouds(num=3, size=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(num, size, 3, generator=generator)
    return points * torch.tensor([1.0, 0.6, 0.3])


def build(**options):
    return MODELS.build(DENSE | options)


def test_features_are_those_of_enlarged_maps_at_the_pixels_of_the_points():
    target, points = build(), clouds()
    positions = points[:, ::4]
    seen = target.forward_views(points)
    assert seen.feats.shape == (3, 3, 5, 6, 6)
    assert seen.saliency.shape == (3, 3, 6, 6)
    feats = target.features_at(seen, positions)
    saliency = target.saliency_at(seen, positions)
    assert feats.shape == (3, 15, target.dims) and target.dims == 15
    assert saliency.shape == (3, 15)
    pixels = target.projector.pixels(positions, seen.frame)
    for b in range(3):
        whole = F.interpolate(seen.feats[b], 48, mode='bicubic')
        looks = F.interpolate(seen.saliency[b, None], 48, mode='bicubic')[0]
        for m in range(15):
            views = [whole[v][:, i, j] for v, (i, j) in enumerate(pixels[b, :, m])]
            torch.testing.assert_close(feats[b, m], torch.cat(views))
            mean = sum(looks[v, i, j] for v, (i, j) in enumerate(pixels[b, :, m])) / 3
            torch.testing.assert_close(saliency[b, m], mean)


def test_the_teacher_sees_every_view_of_every_cloud_once():
    target, points = build(), clouds()
    before = StubDenseTeacher.images
    seen = target.forward_views(points)
    assert StubDenseTeacher.images == before + 9
    images = target.projector(points)
    for v in range(3):
        expected = target.teacher.forward_dense(images[:, v])
        torch.testing.assert_close(seen.feats[:, v], expected['feats'])
        torch.testing.assert_close(seen.saliency[:, v], expected['saliency'])


def test_points_themselves_are_asked_about_by_calling_it_alone_or_in_a_batch():
    target, points = build(), clouds()
    seen = target.forward_views(points)
    expected, looks = target.features_at(seen, points), target.saliency_at(seen, points)
    assert torch.equal(target(torch.cat([points, torch.rand(3, 60, 2)], 2)), expected)
    assert torch.equal(target(points, [None] * 3), expected)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(target.features_at(seen, points), expected)
        assert torch.equal(target.saliency_at(seen, points), looks)
    for b in range(3):
        one = points[b : b + 1]
        torch.testing.assert_close(target(one), expected[b : b + 1])
        own = target.saliency_at(target.forward_views(one), one)
        torch.testing.assert_close(own, looks[b : b + 1])
    points[0] = 0  # points that coincide
    points[1, 30:] = points[1, :30]
    feats = target(points)
    assert feats.isfinite().all()
    assert torch.equal(feats[1, 30:], feats[1, :30])
    torch.testing.assert_close(feats[0], feats[0, :1].expand(60, -1))


def test_nothing_is_trained_and_nothing_is_saved():
    target, points = build(), clouds().requires_grad_()
    seen = target.forward_views(points)
    found = (*seen[:2], target(points), target.saliency_at(seen, points))
    assert not any(x.requires_grad for x in found)
    assert not target.state_dict() and not list(target.parameters())
    target.train()
    assert not target.teacher.net.training


class Linear(nn.Module):
    """Records the precision in which it runs."""

    def forward(self, images):
        x = images.flatten(1)[:, :25]
        self.dtype = (x @ x.T).dtype
        return x.view(-1, 1, 5, 5)


@pytest.mark.parametrize('precision, student', [('fp32', 'bf16'), ('bf16', 'fp32')])
def test_the_teacher_runs_in_its_own_precision(precision, student):
    target, points, net = build(precision=precision), clouds(), Linear()

    def forward_dense(images):
        maps = net(images)
        return dict(feats=maps.to(net.dtype), saliency=maps[:, 0])

    target.teacher.forward_dense = forward_dense
    with torch.autocast('cpu', torch.bfloat16, enabled=student == 'bf16'):
        seen = target.forward_views(points)
        read = target.features_at(seen, points), target.saliency_at(seen, points)
    assert net.dtype == dict(fp32=torch.float32, bf16=torch.bfloat16)[precision]
    assert all(x.dtype == torch.float32 for x in (*seen[:2], *read))


def test_defaults_are_those_of_the_paper_and_other_parts_are_refused():
    projector = DenseTarget(STUB).projector
    assert projector.size == 224 and projector.radius == 2
    target = build(teacher=dict(type='mmkd3d.StubImageTeacher'))
    with pytest.raises(NotImplementedError, match='StubImageTeacher cannot'):
        target.forward_views(clouds())
    with pytest.raises(ValueError, match="got 'fp8'"):
        build(precision='fp8')
