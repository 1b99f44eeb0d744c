"""Draw masks of a pretrainer, and the features and saliency of an image teacher."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from mmengine.config import Config
from mmengine.registry import MODELS, TASK_UTILS
from mmengine.runner import set_random_seed
from torch import Tensor, nn

from mmkd3d.models.data_preprocessor import stack_clouds
from mmkd3d.models.layers.patches import Patches
from mmkd3d.models.layers.pyramid import propagate_mask
from mmkd3d.models.pretrainers.base import BasePretrainer
from mmkd3d.models.targets.dense import DenseTarget, ViewFeatures

from .colors import (
    MASKED,
    PREDICTED,
    UNSEEN,
    VISIBLE,
    FeatureColors,
    blend,
    by_height,
    enlarge,
    heat,
)
from .inputs import load_model, load_shapes, read_config
from .panels import Cloud, draw_sheet
from .writers import write_page


def draw_masks(
    config: str | Path | Config,
    checkpoint: str | Path | None,
    out: str | Path,
    *,
    data: str | None = None,
    num: int = 4,
) -> list[Path]:
    """Draw masks of some clouds, and the saliency that guides them.

    Args:
        config: Of a masked pretraining. If a :class:`DenseTarget` is in it,
            the views and the saliency of its teacher are drawn, too.
        checkpoint: Of that run, to draw its predictions; None: build only the
            grouping, the masker and the teacher that guides it.
        out: Output folder.
        data: Source of the clouds, see :func:`load_shapes`.
        num: Number of clouds.

    Returns:
        Paths of one PNG for each cloud, and of an HTML page with all.

    Raises:
        ValueError: The method has no masker, or there are no clouds.
    """
    cfg = read_config(config)
    set_random_seed(0)
    check_masker(cfg)
    if checkpoint is None:
        model = student_and_masker(cfg)
    else:
        model = load_model(cfg, checkpoint)
    batch = model.data_preprocessor(load_shapes(cfg, data, num))
    sheets = mask_sheets(model, batch, predicts=checkpoint is not None)
    return write_sheets('mask', sheets, out, cfg)


def draw_teacher(
    config: str | Path | Config, out: str | Path, *, data: str | None = None, num: int = 4
) -> list[Path]:
    """Draw the features and the saliency of an image teacher.

    Args:
        config: Of a pretraining with a :class:`DenseTarget`.
        out: Output folder.
        data: Source of the clouds, see :func:`load_shapes`.
        num: Number of clouds.

    Returns:
        Paths of one PNG for each cloud, and of an HTML page with all.

    Raises:
        ValueError: No such teacher, or no clouds.
    """
    cfg = read_config(config)
    set_random_seed(0)
    model = cfg.get('model', {})
    dense = model.get('target') or model.get('masker', {}).get('target')
    if not dense:
        raise ValueError(
            f'{cfg.filename or "The config"} has no dense image '
            'teacher: neither model.target nor model.masker.target is a '
            "dict(type='DenseTarget', teacher=...), as in configs/i2p_mae/."
        )
    sheets = teacher_sheets(MODELS.build(dense), load_shapes(cfg, data, num))
    return write_sheets('teacher', sheets, out, cfg)


def check_masker(cfg: Config) -> None:
    """``ValueError`` if the method has no masker."""
    model = cfg.get('model', {})
    if not model.get('backbone') or not model.get('masker'):
        raise ValueError(
            f'{model.get("type", "The config")} has no backbone and masker: '
            'mask draws masked pretraining, such as '
            'configs/i2p_mae/point-m2ae-mini_1xb16-20k_psb.py.'
        )


def student_and_masker(cfg: Config) -> BasePretrainer:
    """Build only the parts that a mask depends on."""
    model = BasePretrainer(cfg.model.backbone, data_preprocessor=cfg.model.get('data_preprocessor'))
    model.masker = TASK_UTILS.build(cfg.model.masker)
    if cfg.model.get('target'):
        model.target = MODELS.build(cfg.model.target)
    return model.eval()


def mask_sheets(model: nn.Module, batch: dict, *, predicts: bool) -> list[tuple[str, dict]]:
    """Name of each cloud, and the rows of its sheet.

    Args:
        model: A pretrainer with a masker, or :func:`student_and_masker`.
        batch: From its data preprocessor.
        predicts: Also draw what ``model`` predicts behind the mask.
    """
    points = batch['inputs']['points'][..., :3].contiguous()
    pyramid = model.backbone.group(points)
    if isinstance(pyramid, Patches):
        pyramid = [pyramid]
    centers, views, scores = pyramid[-1].centers, None, None
    target = next((m for m in model.modules() if isinstance(m, DenseTarget)), None)
    if target is not None:
        views = TeacherViews.of(target, points)
        scores = target.saliency_at(views.feats, centers)
    mask = model.masker(centers, points=points, scores=scores)
    masks = propagate_mask(mask, pyramid, getattr(model.backbone, 'index_zero_visible', False))
    drawn = predict(model, batch, mask) if predicts else None
    sheets = []
    for i, sample in enumerate(batch['data_samples']):
        first = dict(input=plain(points[i]))
        if views is not None:
            first = {'saliency of tokens': Cloud(centers[i].numpy(), heat(scores[i]))}
        row = mask_row([level.centers[i] for level in pyramid], [m[i] for m in masks])
        rows = dict({} if views is None else view_rows(views, i), masked=first | row)
        if drawn is not None:
            rows['predicted'] = prediction_row(drawn[i])
        sheets.append((name_of(sample, i), rows))
    return sheets


def teacher_sheets(target: DenseTarget, batch: dict) -> list[tuple[str, dict]]:
    """Name of each cloud, and rows with the features and saliency of a teacher.

    Features become colours by a principal component analysis over the points
    of all clouds in all views; the colour of a point is its mean over the views.

    Args:
        target: With the teacher.
        batch: From :func:`load_shapes`.
    """
    points = stack_clouds(batch['inputs']['points'], batch['data_samples'])
    points = points[..., :3].contiguous()
    views = TeacherViews.of(target, points)
    feats = target.features_at(views.feats, points)  # (B, N, V * D)
    feats = feats.unflatten(2, (target.projector.num_views, -1)).numpy()
    colors = FeatureColors(feats.reshape(-1, feats.shape[-1]))
    sheets = []
    for i, sample in enumerate(batch['data_samples']):
        maps = colors(views.feats.feats[i].movedim(1, -1).numpy())
        maps = enlarge(torch.from_numpy(maps).movedim(-1, 1), views.images.shape[-2:])
        known = dict(features=Cloud(points[i].numpy(), colors(feats[i]).mean(1)))
        rows = dict(view_rows(views, i), known=known | over_views(views, i, maps, 'features'))
        sheets.append((name_of(sample, i), rows))
    return sheets


def predict(model: nn.Module, batch: dict, mask: Tensor) -> list[dict]:
    """Predictions of a pretrainer behind a given mask (B, G)."""
    handle = model.masker.register_forward_hook(lambda *_: mask)
    try:
        return model(**batch, mode='predict')
    finally:
        handle.remove()


def name_of(sample, i: int) -> str:
    """The id of a sample, or its index."""
    return str(sample.get('sample_id', f'cloud {i}'))


def write_sheets(
    what: str, sheets: Sequence[tuple[str, dict]], out: str | Path, cfg: Config
) -> list[Path]:
    """Write one PNG for each shape, and a page with all of them."""
    out, method = Path(out), cfg.model.get('type')
    pictures = [
        draw_sheet(out / f'{what}_{i}.png', rows, title=f'{method}: {name}', legend=legend_of(rows))
        for i, (name, rows) in enumerate(sheets)
    ]
    page = write_page(out / f'{what}.html', sheets, pictures, title=f'{method}: {what}')
    return [*pictures, page]


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
    """Prediction of a pretrainer for one cloud."""
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
    """Meaning of the colours in the rows of a sheet."""
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
