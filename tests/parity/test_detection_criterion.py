"""Decoding, matching and losses of 3DETR against the original code."""

import pytest
import torch

from mmkd3d.models.detectors.box_coding import RawBoxes, decode_boxes, encode_targets
from mmkd3d.models.detectors.box_matcher import pairwise_giou
from mmkd3d.models.detectors.three_detr_criterion import ThreeDETRCriterion
from tests.helpers import load_case, parity_cases
from tests.parity.box_corners import box_corners

HEADS = dict(
    cls='pred_cls',
    center='pred_center',
    size='pred_size',
    angle_cls='pred_angle_cls',
    angle_res='pred_angle_res',
)
LOSSES = dict(
    loss_sem_cls='cls',
    loss_angle_cls='angle_cls',
    loss_angle_reg='angle_reg',
    loss_center='center',
    loss_size='size',
    loss_giou='giou',
    loss_cardinality='cardinality',
)
INPUTS = (
    'query_xyz',
    'point_cloud_dims_min',
    'point_cloud_dims_max',
    'gt_box_centers',
    'gt_box_sizes',
    'gt_box_angles',
    'gt_box_sem_cls_label',
    'gt_box_present',
    *HEADS.values(),
)


def criterion(config):
    return ThreeDETRCriterion(
        cost_weights=dict(
            cls=config['matcher_cls_cost'],
            objectness=config['matcher_objectness_cost'],
            center=config['matcher_center_cost'],
            giou=config['matcher_giou_cost'],
        ),
        loss_weights=dict(
            cls=config['loss_sem_cls_weight'],
            center=config['loss_center_weight'],
            size=config['loss_size_weight'],
            angle_cls=config['loss_angle_cls_weight'],
            angle_reg=config['loss_angle_reg_weight'],
            giou=config['loss_giou_weight'],
        ),
        no_object_weight=config['loss_no_object_weight'],
    )


def run(config, x):
    """All arrays of a case, under their names in the case."""
    raw = RawBoxes(**{name: x[key].clone().requires_grad_() for name, key in HEADS.items()})
    extrema = x['point_cloud_dims_min'], x['point_cloud_dims_max']
    boxes = decode_boxes(raw, x['query_xyz'], *extrema)
    present = x['gt_box_present'].bool()
    targets = encode_targets(
        x['gt_box_centers'],
        x['gt_box_sizes'],
        x['gt_box_angles'][..., None],
        x['gt_box_sem_cls_label'].long(),
        present,
        *extrema,
        config['num_angle_bin'],
    )

    losses = criterion(config)
    last = boxes.layer(slice(-1, None))
    pairs = losses.matcher(boxes, targets)
    matched = torch.full(boxes.angle.shape, -1)
    matched[pairs.layer, pairs.scene, pairs.query] = pairs.box
    layers = losses.layer_losses(boxes, targets)
    total = sum(v.sum() for k, v in layers.items() if k != 'cardinality')
    total.backward()

    got = dict(
        center_normalized=boxes.center_normalized,
        center_unnormalized=boxes.center,
        size_normalized=boxes.size_normalized,
        size_unnormalized=boxes.size,
        angle_continuous=boxes.angle,
        objectness_prob=boxes.objectness,
        box_corners_last=box_corners(*last.tensor[0].split([3, 3, 1], -1)),
        gt_box_centers_normalized=targets.center_normalized,
        gt_box_sizes_normalized=targets.size_normalized,
        gt_box_corners=box_corners(*targets.tensor.split([3, 3, 1], -1)),
        gt_angle_class_label=targets.angle_cls,
        gt_angle_residual_label=targets.angle_res,
        matched_gt=matched,
        giou_last=pairwise_giou(last, targets)[0],
        center_l1_last=torch.cdist(last.center_normalized[0], targets.center_normalized, p=1),
        cost_last=losses.matcher.cost(last, targets)[0],
        loss_total=total[None],
        **{key: layers[name] for key, name in LOSSES.items() if name in layers},
    )
    for name, key in HEADS.items():
        got[f'grad_{key}'] = getattr(raw, name).grad
    return got, present


@pytest.mark.parametrize('case', parity_cases('detection/criterion*'), ids=lambda path: path.name)
def test_criterion_is_the_published_one(case):
    manifest, arrays = load_case(case)
    x = {key: torch.from_numpy(value) for key, value in arrays.items()}
    got, present = run(manifest['config'], x)
    assert set(got) == set(x) - set(INPUTS)
    for name, value in got.items():
        expected = x[name]
        if name in ('giou_last', 'center_l1_last', 'cost_last'):
            # Columns without a box are not used.
            value, expected = (y.transpose(1, 2)[present] for y in (value, expected))
        tolerance = manifest['tolerance']
        if name.startswith('grad_'):
            tolerance = manifest.get('tolerance_grad', tolerance)
        torch.testing.assert_close(
            value,
            expected,
            **tolerance,
            check_dtype=False,
            msg=lambda text, name=name: f'{name}: {text}',
        )
