"""Draw the features of an image teacher on scans with posed frames."""

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import set_random_seed
from torch import nn

from mmkd3d.datasets.transforms.frames import add_to_datasets

from .colors import UNSEEN, FeatureColors, blend, enlarge
from .inputs import read_config, spread
from .masking import plain, write_sheets
from .panels import Cloud

MAX_POINTS, MAX_FRAMES = 20000, 5  # that are drawn of a scan


def draw_frames(config: str | Path | Config, out: str | Path, *, num: int = 1) -> list[Path]:
    """Draw teacher features of scans, averaged over all of their frames.

    Args:
        config: Of a run with a :class:`DistillationHook` that loads frames.
        out: Output folder.
        num: Number of scans; takes the first ones with frames.

    Returns:
        Paths of one PNG for each scan, and of an HTML page with all.

    Raises:
        ValueError: No such hook, or no scan with frames.
    """
    cfg = read_config(config)
    set_random_seed(0)
    hook = next((h for h in cfg.get('custom_hooks') or () if h.get('frames')), None)
    if hook is None:
        raise ValueError(
            f'{cfg.filename or "The config"} has no DistillationHook with '
            'frames=dict(root=...) in custom_hooks, so there are no posed frames to draw.'
        )
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    add_to_datasets(
        dataset, dict(hook['frames'], type='mmkd3d.LoadPosedFrames', num_frames=None, choose='even')
    )
    target = MODELS.build(hook['target'])
    sheets = []
    for i in range(len(dataset)):
        if len(sheets) == num:
            break
        item = dataset[i]
        if 'frames' in item['data_samples']:
            sheets.append(scan_sheet(target, item))
    if not sheets:
        raise ValueError(
            f'None of the {len(dataset)} scans has frames in {hook["frames"]["root"]}.'
        )
    return write_sheets('frames', sheets, out, cfg)


@torch.no_grad()
def scan_sheet(target: nn.Module, item: dict) -> tuple[str, dict]:
    """Name and rows of a scan: its points, and some of its frames.

    A principal component analysis over the visible points maps features to
    colors.

    Args:
        target: A :class:`PointTarget`; its number of views is set to that of
            the frames.
        item: A packed sample with frames.
    """
    sample, points = item['data_samples'], item['inputs']['points'][:, :3]
    points = points[spread(len(points), MAX_POINTS)]
    target.views.num_views = len(sample.frames)
    feats, visible = (x[0].numpy() for x in target(points[None], [sample], points[None]))
    colors = FeatureColors(feats[visible])
    painted = np.tile(UNSEEN, (len(points), 1))
    painted[visible] = colors(feats[visible])
    images = target.views(points[None], [sample]).images[0]
    images = images[spread(len(images), MAX_FRAMES)]
    maps = target.maps(images)
    maps = torch.from_numpy(colors(maps.movedim(1, -1).numpy()))
    maps = enlarge(maps.movedim(-1, 1), images.shape[-2:])
    images = images.movedim(1, -1).numpy()
    upright = points[:, [1, 2, 0]]  # z up to y up
    known = Cloud(upright.numpy(), painted)
    rows = dict(
        scan={'height': plain(upright), f'features, {visible.mean():.0%} visible': known},
        frames={f'frame {i}': image for i, image in enumerate(images, 1)},
        features={
            f'features {i}': blend(image, over)
            for i, (image, over) in enumerate(zip(images, maps), 1)
        },
    )
    return Path(sample.lidar_path).stem, rows
