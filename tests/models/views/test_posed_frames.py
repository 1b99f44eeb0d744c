"""Posed frames as views, and point features from them."""

import pytest
import torch
from mmengine.structures import BaseDataElement, InstanceData

from mmkd3d.ops import frame_visibility
from mmkd3d.registry import MODELS
from tests.ops.test_projection import camera

from ..stub_teachers import StubDenseTeacher

SIZE = (24, 32)
VIEWS = dict(type='mmkd3d.PosedFrames', num_views=3, size=SIZE)


def frames(num, seed=0, depth_size=(12, 16), scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    extrinsic, intrinsic = camera(num)
    extrinsic[:, :2, 3] = torch.rand(num, 2, generator=generator) - 0.5
    noise = torch.rand(num, *depth_size, generator=generator)
    return InstanceData(
        metainfo=dict(scale=scale),
        image=torch.randint(256, (num, 3, *SIZE), generator=generator, dtype=torch.uint8),
        depth=(2.7 + 0.6 * noise) * (noise > 0.2),
        extrinsic=extrinsic,
        intrinsic=intrinsic,
    )


def samples(*numbers, **options):
    """One sample per number of frames; samples with 0 frames lack the field."""
    made = []
    for i, num in enumerate(numbers):
        sample = BaseDataElement()
        if num:
            sample.frames = frames(num, seed=i, **options)
        made.append(sample)
    return made


def cloud(num, size=80):
    generator = torch.Generator().manual_seed(5)
    return torch.rand(num, size, 3, generator=generator) - 0.5


def build(**options):
    return MODELS.build(VIEWS | dict(tolerance=0.15) | options)


def test_frames_are_the_views_of_their_own_sample():
    data, points = samples(2, 0, 5), cloud(3)
    views = build()(points, data, at=points[:, :50])
    assert views.images.shape == (3, 3, 3, *SIZE)
    assert views.foreground.shape == (3, 3, *SIZE)
    assert views.uv.shape == (3, 3, 50, 2)
    assert views.visible.shape == (3, 3, 50)
    for b, there in enumerate((2, 0, 3)):
        assert not views.images[b, there:].any()
        assert not views.foreground[b, there:].any()
        assert not views.visible[b, there:].any()
        for v in range(there):
            own = data[b].frames[v]
            torch.testing.assert_close(views.images[b, v], own.image[0].float() / 255)
            wanted = (own.depth[0] > 0).repeat_interleave(2, 0).repeat_interleave(2, 1)
            assert torch.equal(views.foreground[b, v], wanted)
            uv, seen = frame_visibility(
                points[b : b + 1, :50], own.extrinsic, own.intrinsic, own.depth, SIZE, 0.15
            )
            assert torch.equal(views.uv[b, v], uv[0])
            assert torch.equal(views.visible[b, v], seen[0])
            assert 0 < seen.sum() < 50


def test_chosen_views_are_those_of_all_and_a_batch_without_frames_shows_nothing():
    data, points = samples(3, 1), cloud(2)
    index = torch.tensor([[2, 0], [1, 1]])
    whole = build()(points, data, at=points)
    some = build()(points, data, at=points, view_idx=index)
    for all_views, chosen in zip(whole, some):
        for b in range(2):
            assert torch.equal(chosen[b], all_views[b, index[b]])
    without = build()(points, data)
    assert without.uv is None and without.visible is None
    assert torch.equal(without.images, whole.images)
    empty = build()(points, samples(0, 0), at=points)
    assert empty.images.shape == (2, 3, 3, *SIZE)
    assert not any(x.any() for x in (empty.images, empty.foreground, empty.visible))


def test_nothing_is_tested_in_a_frame_without_depth():
    data, points = samples(2), cloud(1)
    data[0].frames.depth[0] = 0
    tested = build()(points, data, at=points)
    assert tested.foreground[0, 0].all() and not tested.foreground[0, 1].all()
    u, v = tested.uv[0, 0].unbind(-1)
    inside = (u > -0.5) & (u < 31.5) & (v > -0.5) & (v < 23.5)
    assert torch.equal(tested.visible[0, 0], inside) and inside.any()
    assert tested.visible[0, 1].sum() < inside.sum()


def test_the_tolerance_is_scaled_as_the_cloud_is():
    points, plain, scaled = cloud(1), samples(3), samples(3, scale=2.0)
    scaled[0].frames.depth *= 2
    scaled[0].frames.extrinsic[:, :3, 3] *= 2
    one = build()(points, plain, at=points)
    two = build()(2 * points, scaled, at=2 * points)
    assert torch.equal(one.visible, two.visible) and one.visible.any()


def test_depths_of_several_sizes_make_one_batch():
    data = samples(2, 2)
    data[1].frames = frames(2, seed=1, depth_size=SIZE)
    points = cloud(2)
    both = build()(points, data, at=points)
    for b in range(2):
        one = build()(points[b : b + 1], data[b : b + 1], at=points[b : b + 1])
        for x, y in zip(both, one):
            assert torch.equal(x[b], y[0])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r'\(24, 32\).*expected \(48, 64\)'):
        build(size=(48, 64))(cloud(1), samples(1))
    with pytest.raises(ValueError, match='data_samples'):
        build()(cloud(1))


TARGET = dict(
    type='mmkd3d.PointTarget',
    teacher=dict(type='mmkd3d.StubDenseTeacher'),
    views=VIEWS | dict(tolerance=0.15),
)


def mean_by_hand(target, data, points):
    """Mean over views of the stub's 6 x 6 maps, sampled bilinearly point by point."""
    views = target.views(points, data, at=points)
    B, V, M, _ = views.uv.shape
    feats, count = torch.zeros(B, M, 5), torch.zeros(B, M)
    for b in range(B):
        for v in range(V):
            maps = target.teacher.forward_dense(views.images[b, v][None])['feats'][0]
            for m in views.visible[b, v].nonzero()[:, 0].tolist():
                u, w = views.uv[b, v, m].tolist()
                x = min(max((u + 0.5) * 6 / 32 - 0.5, 0), 5)
                y = min(max((w + 0.5) * 6 / 24 - 0.5, 0), 5)
                i, j = min(int(y), 4), min(int(x), 4)
                p, q = y - i, x - j
                feats[b, m] += (
                    (1 - p) * (1 - q) * maps[:, i, j]
                    + p * q * maps[:, i + 1, j + 1]
                    + p * (1 - q) * maps[:, i + 1, j]
                    + (1 - p) * q * maps[:, i, j + 1]
                )
                count[b, m] += 1
    return feats / count.clamp(min=1)[..., None], count > 0


@pytest.mark.parametrize('images_at_once', [None, 2])
def test_features_are_means_of_bilinear_readings(images_at_once):
    target = MODELS.build(TARGET | dict(images_at_once=images_at_once))
    data, points = samples(3, 0, 2), 1.6 * cloud(3)
    feats, seen = target(points.requires_grad_(), data, points)
    assert feats.shape == (3, 80, 5) and target.dims == 5 and not feats.requires_grad
    wanted, wanted_seen = mean_by_hand(target, data, points)
    assert torch.equal(seen, wanted_seen)
    assert 0 < seen[0].float().mean() < 1 and not seen[1].any()
    torch.testing.assert_close(feats, wanted, atol=1e-4, rtol=1e-4)
    assert not feats[~seen].any()
    with torch.autocast('cpu', torch.bfloat16):
        again, _ = target(points, data, points)
    assert again.dtype == torch.float32 and torch.equal(again, feats)


def test_the_teacher_is_shown_only_what_shows_something():
    target = MODELS.build(TARGET)
    data, points = samples(3, 0, 1), cloud(3)
    data[0].frames.depth[1] = 50.0  # no point is at this depth
    before = StubDenseTeacher.images
    target(points, data, points)
    assert StubDenseTeacher.images == before + 3
    before = StubDenseTeacher.images
    feats, seen = target(points, samples(0, 0, 0), points)
    assert StubDenseTeacher.images == before
    assert not feats.any() and not seen.any()
