"""Criterion of 3DETR on two processes."""

import pytest
import torch

from mmkd3d.models.detectors.box_coding import encode_targets
from mmkd3d.models.detectors.three_detr_criterion import ThreeDETRCriterion
from tests.models.detection_scenes import extrema, random_boxes


def center_losses(rank, counts):
    """Centre loss of each layer; ``counts``: boxes per scene, for each rank."""
    boxes, _ = random_boxes(seed=rank)
    generator = torch.Generator().manual_seed(rank)
    center = torch.rand(3, 5, 3, generator=generator)
    present = torch.arange(5) < torch.tensor(counts[rank])[:, None]
    targets = encode_targets(
        center, center + 0.1, torch.zeros(3, 5, 1), present.long(), present, *extrema(), 1
    )
    losses = ThreeDETRCriterion().layer_losses(boxes, targets)
    return losses['center'].detach()


@pytest.mark.slow
@pytest.mark.xdist_group('ranks')
def test_number_of_boxes_is_averaged_over_workers(ranks):
    counts = ((3, 0, 5), (1, 0, 1))
    for rank, losses in enumerate(ranks(center_losses, counts)):
        alone = center_losses(rank, counts) * sum(counts[rank])
        torch.testing.assert_close(losses, alone / 5)
    none = ((0, 0, 0), (0, 0, 0))
    assert not any(losses.any() for losses in ranks(center_losses, none))
    # An average of half a box is clamped to one.
    one = ((0, 1, 0), (0, 0, 0))
    torch.testing.assert_close(ranks(center_losses, one)[0], center_losses(0, one[:1]))
