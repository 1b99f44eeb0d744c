"""The criterion of 3DETR on two processes."""

import pytest
import torch

from mmkd3d.models.detectors.box_targets import encode_targets
from mmkd3d.models.detectors.three_detr_criterion import ThreeDETRCriterion
from tests.models.detection_scenes import extrema, random_boxes
from tests.models.two_ranks import on_two_ranks


def center_losses(rank, counts):
    """Of each layer, with so many boxes in each scene of a rank."""
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
def test_number_of_boxes_is_averaged_over_workers(tmp_path):
    counts = ((3, 0, 5), (1, 0, 1))
    ranks = on_two_ranks(
        tmp_path,
        center_losses,
        dict(some=counts, none=((0, 0, 0), (0, 0, 0)), one=((0, 1, 0), (0, 0, 0))),
    )
    for rank, results in enumerate(ranks):
        alone = center_losses(rank, counts) * sum(counts[rank])
        torch.testing.assert_close(results['some'], alone / 5)
        assert not results['none'].any()
    # Half a box on average counts as one.
    torch.testing.assert_close(ranks[0]['one'], center_losses(0, ((0, 1, 0),)))
