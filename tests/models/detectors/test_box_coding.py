"""Decoding of head outputs to boxes, and encoding of annotations to targets."""

import math

import pytest
import torch

from mmkd3d.models.detectors.box_coding import decode_boxes, encode_targets, pad_targets
from tests.models.detection_scenes import annotations, extrema, random_raw


def encode(angle, bins):
    """Targets of one scene with boxes at the given headings."""
    angle = torch.as_tensor(angle).float()[None, :, None]
    center = torch.zeros(*angle.shape[:2], 3)
    there = torch.ones(angle.shape[:2], dtype=torch.bool)
    return encode_targets(center, center + 1, angle, there.long(), there, *extrema(1), bins)


def test_decoded_centres_are_near_their_queries_and_sizes_are_those_of_the_scene():
    raw, query_xyz = random_raw()
    ones = torch.ones(3, 3)
    small, large = (decode_boxes(raw, query_xyz, -s * ones, s * ones) for s in (1.0, 20.0))
    assert (small.center - query_xyz).abs().max() < 0.5
    torch.testing.assert_close(small.center, large.center)
    torch.testing.assert_close(small.size * 20, large.size)
    torch.testing.assert_close(small.class_probs.sum(-1), small.objectness)
    assert small.objectness.max() < 1
    low, high = extrema()
    high[:, 2] = low[:, 2] + 0.01  # a flat scene
    flat = decode_boxes(raw, query_xyz, low, high)
    torch.testing.assert_close(flat.size[..., 2], 0.1 * flat.size_normalized[..., 2])
    half = type(raw)(*(x.bfloat16() for x in raw))
    assert {x.dtype for x in decode_boxes(half, query_xyz, low, high)} == {torch.float32}


@pytest.mark.parametrize('bins', [1, 12, 7])
def test_bin_and_residual_tell_the_heading(bins):
    angle = torch.linspace(-math.pi, math.pi, 200)
    targets = encode(angle, bins)
    assert set(targets.angle_cls[0].tolist()) == set(range(bins))
    assert targets.angle_res.abs().max() <= math.pi / bins + 1e-5
    told = targets.angle_cls * 2 * math.pi / bins + targets.angle_res
    wrapped = torch.remainder(told[0] - angle + 1, 2 * math.pi)
    torch.testing.assert_close(wrapped, torch.ones(200), atol=1e-5, rtol=0)
    border = torch.tensor(-math.pi / bins)
    near = [border, border.nextafter(torch.tensor(-9.0)), border - 1e-7, border + 1e-7]
    classes = encode(torch.stack(near), bins).angle_cls
    assert classes.min() >= 0 and classes.max() < bins


def test_decoding_a_target_gives_its_heading():
    angle = torch.linspace(-3.1, 3.1, 40)
    targets = encode(angle, 12)
    raw, query_xyz = random_raw(layers=1, scenes=1, queries=40, bins=12)
    residual = (targets.angle_res / (math.pi / 12))[None, ..., None].expand(1, 1, 40, 12)
    logits = torch.nn.functional.one_hot(targets.angle_cls, 12)[None]
    raw = raw._replace(angle_cls=logits, angle_res=residual)
    boxes = decode_boxes(raw, query_xyz, *extrema(1))
    torch.testing.assert_close(boxes.angle[0, 0], angle, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('bins', [1, 12])
def test_targets_are_mmdetection3ds_boxes(bins):
    pytest.importorskip('mmdet3d')
    counts, (low, high) = (3, 0, 5), extrema()
    gt = annotations(counts, bins)
    targets = pad_targets(gt, low, high, bins)
    assert targets.present.sum(1).tolist() == list(counts)
    for i, (scene, count) in enumerate(zip(gt, counts)):
        boxes, extent = scene.bboxes_3d, high[i] - low[i]
        own = type(targets)(*(x[i, :count] for x in targets))
        assert (own.labels == scene.labels_3d).all()
        torch.testing.assert_close(own.center, boxes.gravity_center)
        torch.testing.assert_close(own.angle, -boxes.yaw)
        torch.testing.assert_close(low[i] + own.center_normalized * extent, boxes.gravity_center)
        torch.testing.assert_close(own.size_normalized * extent, boxes.dims)
        for name, value in targets._asdict().items():
            assert not value[i, count:].any(), name
