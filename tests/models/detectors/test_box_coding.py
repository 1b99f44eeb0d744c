"""From heads to boxes, and from annotations to what they are compared with."""

import math

import pytest
import torch

from mmkd3d.models.detectors.box_coding import decode_boxes, encode_targets, pad_targets
from tests.models.detection_scenes import annotations, extrema, random_boxes, random_raw


def encode(angle, bins):
    """Targets of one scene with boxes at these headings."""
    angle = torch.as_tensor(angle).float()[None, :, None]
    center = torch.zeros(*angle.shape[:2], 3)
    there = torch.ones(angle.shape[:2], dtype=torch.bool)
    return encode_targets(center, center + 1, angle, there.long(), there, *extrema(1), bins)


def test_decoded_centres_are_near_their_queries_in_metres():
    raw, query_xyz = random_raw()
    small, large = (
        decode_boxes(raw, query_xyz, -scale * torch.ones(3, 3), scale * torch.ones(3, 3))
        for scale in (1.0, 20.0)
    )
    assert (small.center - query_xyz).abs().max() < 0.5
    torch.testing.assert_close(small.center, large.center)
    torch.testing.assert_close(small.size * 20, large.size)


def test_a_flat_scene_has_boxes_of_some_height():
    raw, query_xyz = random_raw()
    low, high = extrema()
    high[:, 2] = low[:, 2] + 0.01
    boxes = decode_boxes(raw, query_xyz, low, high)
    torch.testing.assert_close(boxes.size[..., 2], 0.1 * boxes.size_normalized[..., 2])


def test_probabilities_add_up_to_the_objectness():
    boxes, _ = random_boxes()
    torch.testing.assert_close(boxes.class_probs.sum(-1), boxes.objectness)
    assert boxes.objectness.max() < 1


@pytest.mark.parametrize('bins', [1, 12, 7])
def test_bin_and_residual_tell_the_heading(bins):
    angle = torch.linspace(-math.pi, math.pi, 200)
    targets = encode(angle, bins)
    assert set(targets.angle_cls[0].tolist()) == set(range(bins))
    assert targets.angle_res.abs().max() <= math.pi / bins + 1e-5
    told = targets.angle_cls * 2 * math.pi / bins + targets.angle_res
    wrapped = torch.remainder(told[0] - angle + 1, 2 * math.pi)
    torch.testing.assert_close(wrapped, torch.ones(200), atol=1e-5, rtol=0)


def test_borders_of_bins_stay_in_range():
    border = torch.tensor(-math.pi / 12)
    angle = torch.stack(
        [border, border.nextafter(torch.tensor(-9.0)), border - 1e-7, border + 1e-7]
    )
    bins = encode(angle, 12).angle_cls
    assert bins.min() >= 0 and bins.max() <= 11


def test_decoding_a_target_gives_its_heading():
    angle = torch.linspace(-3.1, 3.1, 40)
    targets = encode(angle, 12)
    raw, query_xyz = random_raw(layers=1, scenes=1, queries=40, bins=12)
    residual = (targets.angle_res / (math.pi / 12))[None, ..., None]
    logits = torch.nn.functional.one_hot(targets.angle_cls, 12)[None]
    boxes = decode_boxes(
        raw._replace(angle_cls=logits, angle_res=residual.expand(1, 1, 40, 12)),
        query_xyz,
        *extrema(1),
    )
    torch.testing.assert_close(boxes.angle[0, 0], angle, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('bins', [1, 12])
def test_targets_are_mmdetection3ds_boxes(bins):
    pytest.importorskip('mmdet3d')
    counts, (low, high) = (3, 0, 5), extrema()
    gt = annotations(counts, bins)
    targets = pad_targets(gt, low, high, bins)
    assert targets.present.sum(1).tolist() == list(counts)
    for i, (scene, count) in enumerate(zip(gt, counts)):
        boxes = scene.bboxes_3d
        assert (targets.labels[i, :count] == scene.labels_3d).all()
        torch.testing.assert_close(targets.center[i, :count], boxes.gravity_center)
        torch.testing.assert_close(targets.angle[i, :count], -boxes.yaw)
        torch.testing.assert_close(
            low[i] + targets.center_normalized[i, :count] * (high - low)[i], boxes.gravity_center
        )
        torch.testing.assert_close(targets.size_normalized[i, :count] * (high - low)[i], boxes.dims)
        for name, value in targets._asdict().items():
            assert not value[i, count:].any(), name


def test_boxes_of_half_precision_heads_are_float32():
    raw, query_xyz = random_raw()
    half = type(raw)(*(x.bfloat16() for x in raw))
    boxes = decode_boxes(half, query_xyz, *extrema())
    assert {x.dtype for x in boxes} == {torch.float32}
