"""Random head outputs of 3DETR, and annotated scenes."""

import math

import torch
from mmengine.structures import InstanceData

from mmkd3d.models.detectors.box_coding import RawBoxes, decode_boxes

CLASSES = 5


def random_raw(layers=2, scenes=3, queries=8, bins=1, seed=0):
    """Head outputs that require gradients, and query positions."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    shape = layers, scenes, queries
    widths = CLASSES + 1, 3, 3, bins, bins
    raw = RawBoxes(*(draw(*shape, n).requires_grad_() for n in widths))
    return raw, draw(scenes, queries, 3)


def extrema(scenes=3):
    low = torch.full((scenes, 3), -2.0) - torch.arange(3) / 4
    return low, low + torch.tensor([4.0, 5.0, 2.5])


def random_boxes(bins=1, seed=0, **sizes):
    """Decoded boxes and the head outputs they come from."""
    raw, query_xyz = random_raw(bins=bins, seed=seed, **sizes)
    return decode_boxes(raw, query_xyz, *extrema(query_xyz.shape[0])), raw


def annotations(counts=(3, 0, 5), bins=1, seed=0):
    """Annotations with mmdetection3d's boxes; ``counts``: boxes per scene."""
    from mmdet3d.structures import DepthInstance3DBoxes

    generator = torch.Generator().manual_seed(seed)
    gt = []
    for count in counts:
        boxes = torch.rand(count, 7, generator=generator)
        boxes = boxes * torch.tensor([3, 3, 2, 1.5, 1.5, 1, 2 * math.pi])
        boxes = boxes + torch.tensor([-1.5, -1.5, -1, 0.2, 0.2, 0.2, -math.pi])
        if bins == 1:
            boxes[:, 6] = 0
        labels = torch.randint(CLASSES, (count,), generator=generator)
        gt.append(
            InstanceData(
                bboxes_3d=DepthInstance3DBoxes(boxes, origin=(0.5, 0.5, 0.5)), labels_3d=labels
            )
        )
    return gt
