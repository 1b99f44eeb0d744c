"""The rows of a sheet: what a teacher sees, what is masked and rebuilt."""

from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from torch import Tensor

from mmkd3d.models.targets.dense import DenseTarget, ViewFeatures

from .colors import MASKED, PREDICTED, UNSEEN, VISIBLE, blend, by_height, enlarge, heat
from .panels import Cloud


class TeacherViews(NamedTuple):
    """Inputs and outputs of the teacher of a :class:`DenseTarget`.

    Attributes:
        points: (B, N, 3) of the clouds.
        images: (B, V, 3, H, W).
        feats: Features of the images.
        saliency: (B, N) of the points.
    """

    points: Tensor
    images: Tensor
    feats: ViewFeatures
    saliency: Tensor

    @classmethod
    def of(cls, target: DenseTarget, points: Tensor) -> 'TeacherViews':
        """Run the teacher of a target on views of points (B, N, 3)."""
        feats = target.forward_views(points)
        images = target.projector(points, feats.frame)
        return cls(points, images, feats, target.saliency_at(feats, points))


def view_rows(views: TeacherViews, i: int) -> dict:
    """Images and saliency of cloud i."""
    maps = enlarge(views.feats.saliency[i, :, None], views.images.shape[-2:])
    salient = Cloud(views.points[i].numpy(), heat(views.saliency[i]))
    return {
        'views': dict(input=plain(views.points[i])) | over_views(views, i),
        'saliency': dict(saliency=salient) | over_views(views, i, heat(maps[..., 0]), 'saliency'),
    }


def over_views(
    views: TeacherViews, i: int, colors: np.ndarray | None = None, title: str = 'view'
) -> dict:
    """The views of cloud i, blended with colors (V, H, W, 3)."""
    images = views.images[i].movedim(1, -1).numpy()
    if colors is not None:
        images = blend(images, colors)
    return {f'{title} {v}': image for v, image in enumerate(images, 1)}


def mask_row(centers: list[Tensor], masks: list[Tensor]) -> dict:
    """The tokens of one cloud, coarsest first.

    Args:
        centers: (G, 3) of each level, finest first.
        masks: (G,) bool of each level, True = masked.
    """
    row = {}
    for level in range(len(masks))[::-1]:
        mask = masks[level]
        title = f'{int((~mask).sum())} of {len(mask)} visible'
        if len(masks) > 1:
            title = f'level {level}: {title}'
        colors = np.where(mask[:, None], MASKED, VISIBLE)
        row[title] = Cloud(centers[level].numpy(), colors)
    return row


def prediction_row(sample: dict) -> dict:
    """What a pretrainer predicts of one cloud, by what its dict holds."""
    if 'cosine' in sample:
        low, high = sample['cosine'].aminmax()
        return {
            f'cosine to the target, {low:.2f} to {high:.2f}': Cloud(
                sample['masked'].numpy(), heat(sample['cosine'], colormaps['viridis'])
            )
        }
    visible, pred = (
        Cloud(sample[key].numpy(), np.broadcast_to(color, sample[key].shape))
        for key, color in (('visible', VISIBLE), ('pred', PREDICTED))
    )
    both = Cloud(*map(np.concatenate, zip(visible, pred)))
    return dict(visible=visible, predicted=pred, both=both)


def plain(points: Tensor) -> Cloud:
    """Points (N, 3), coloured by their height."""
    return Cloud(points.numpy(), by_height(points))


def legend_of(rows: dict) -> dict:
    """What the colours in the rows of a sheet mean."""
    legend = {}
    if 'saliency' in rows:
        legend['least salient'], legend['most salient'] = heat([0.0, 1.0])
    if 'masked' in rows:
        legend |= dict(visible=VISIBLE, masked=MASKED)
    if 'predicted' in rows.get('predicted', {}):
        legend['predicted'] = PREDICTED
    if 'scan' in rows:
        legend['not seen'] = UNSEEN
    return legend
