"""Boxes kept by the post-processing of 3DETR, and their average precision."""

import pytest
import torch

from mmkd3d.models.detectors.box_coding import DecodedBoxes
from mmkd3d.models.detectors.box_selection import count_points, nonempty, select_boxes, suppress
from tests.helpers import load_case, parity_cases
from tests.parity.detections import average_precision

pytest.importorskip('mmdet3d')
INPUTS = ('points', 'center', 'size', 'sem_cls_logits', 'gt_center', 'gt_size', 'gt_label')


def upright_boxes(center, size, logits):
    """Decoded boxes without headings; unused fields are zero."""
    zeros = torch.zeros_like(center)
    return DecodedBoxes(
        logits,
        center,
        zeros,
        size,
        zeros,
        zeros[..., :1],
        zeros[..., :1],
        zeros[..., :1],
        zeros[..., 0],
    )


@pytest.mark.parametrize('case', parity_cases('detection/postprocess*'), ids=lambda path: path.name)
def test_boxes_and_their_precision_are_the_published_ones(case):
    manifest, arrays = load_case(case)
    config = manifest['config']
    x = {key: torch.from_numpy(value) for key, value in arrays.items()}
    boxes = upright_boxes(x['center'], x['size'], x['sem_cls_logits'])
    assert config['remove_empty_box']
    settings = dict(
        min_points=config['min_points'],
        use_nms=config['use_3d_nms'],
        nms_iou=config['nms_iou'],
        per_class_nms=config['cls_nms'],
        score_threshold=config['conf_thresh'],
        all_classes=config['per_class_proposal'],
    )

    counts = count_points(boxes, x['points'])
    keep = nonempty(counts, boxes.objectness, config['min_points'])
    after_nms = suppress(
        keep, boxes.tensor, boxes.objectness, boxes.class_probs.argmax(-1), config['nms_iou']
    )
    selected = select_boxes(boxes, x['points'], **settings)
    final = torch.zeros_like(keep)
    for scene, found in zip(final, selected):
        scene[found.query] = True
    scenes = [
        (
            (torch.cat([x['gt_center'][i], x['gt_size'][i]], 1), x['gt_label'][i]),
            (torch.cat([x['center'][i], x['size'][i]], 1)[found.query], found.labels, found.scores),
        )
        for i, found in enumerate(selected)
    ]
    got = dict(
        points_in_box=counts,
        nonempty=keep,
        nms_keep=after_nms,
        final_keep=final,
        objectness=boxes.objectness,
        sem_cls_prob=boxes.class_probs,
        **average_precision(scenes, config['num_semcls'], 'zero'),
    )
    assert set(got) == set(x) - set(INPUTS)
    for name, value in got.items():
        torch.testing.assert_close(
            value.to(x[name].dtype),
            x[name],
            **manifest['tolerance'],
            msg=lambda text, name=name: f'{name}: {text}',
        )
