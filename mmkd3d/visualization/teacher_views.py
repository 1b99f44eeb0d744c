"""Draw the images that an image teacher reads."""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS
from torch import Tensor
from torchvision.utils import save_image

from .inputs import read_config, spread

# Teachers whose input does not depend on their weights.
WEIGHTLESS = dict(random_weights=True, reference=False, checkpoint=None)


def draw_views(config: str | Path | Config, out: str | Path, *, num: int = 4) -> list[Path]:
    """Draw the images of training clouds as the teacher of a config reads them.

    The images are those of its target: rendered or projected views, or posed
    frames. They have the size of the teacher; its normalisation is undone. The
    weights of the teacher may be missing.

    Args:
        config: Of a run with an image teacher.
        out: Output folder.
        num: Number of clouds.

    Returns:
        Path of one PNG with a row for each cloud.

    Raises:
        ValueError: The config has no image teacher.
    """
    cfg = read_config(config)
    target = image_target(cfg)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    torch.manual_seed(0)
    rows = []
    for index in spread(len(dataset), num):
        item = dataset[index]
        images = images_of(target, item['inputs']['points'][None], [item['data_samples']])
        rows.append(as_read(target.teacher, images[0]))
    path = Path(out) / 'views.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(torch.cat(rows), path, nrow=len(rows[0]))
    return [path]


def image_target(cfg: Config) -> nn.Module:
    """The first target of a config whose teacher reads images, if need be with random weights."""
    for found in _targets(cfg):
        found = {key: value for key, value in found.items() if key != 'cache'}
        teacher = dict(found['teacher'])
        kind = str(teacher['type']).split('.')[-1]
        if kind in ('TimmTeacher', 'OpenClipTeacher') and not _has_weights(teacher):
            teacher.update(WEIGHTLESS)
        elif kind == 'ImageNetTeacher':
            teacher.update(random_weights=True)
        target = MODELS.build(dict(found, teacher=teacher))
        if hasattr(target, 'views') or hasattr(target, 'projector'):
            return target
    frames = any(hook.get('frames') for hook in cfg.get('custom_hooks') or ())
    advice = 'its teacher reads posed frames: draw these with frames' if frames else 'as in ReCon'
    raise ValueError(
        f'{cfg.filename or "The config"} has no image teacher in model.target, model.targets or '
        f'model.masker.target, {advice}.'
    )


def _has_weights(teacher: dict) -> bool:
    return bool(teacher.get('checkpoint')) and Path(teacher['checkpoint']).is_file()


def _targets(cfg: Config) -> Iterator[dict]:
    """Configs of targets with teachers of images, or perhaps of texts."""
    model = cfg.get('model', {})
    named = (model.get('targets') or {}).items()
    places = [model.get('target'), (model.get('masker') or {}).get('target')]
    places += [target for name, target in named if name != 'text']
    yield from (target for target in places if target and target.get('teacher'))


@torch.no_grad()
def images_of(target: nn.Module, points: Tensor, data_samples: list) -> Tensor:
    """Images (B, V, 3, H, W) of clouds (B, N, 3+F), as in a training step."""
    if hasattr(target, 'views'):
        return target.views(points, data_samples).images
    points = points[..., :3].contiguous()
    return target.projector(points, target.projector.frame(points))


def as_read(teacher: nn.Module, images: Tensor) -> Tensor:
    """Images (V, 3, h, w) in RGB as a teacher reads them, in [0, 1]."""
    images = teacher.prepare(images) * teacher.std + teacher.mean
    if teacher.channel_order == 'bgr':
        images = images.flip(1)
    return images.clamp(0, 1)
