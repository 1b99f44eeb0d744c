"""Ask the teacher of a DistillationHook once about all posed frames."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from torch import Tensor

from mmkd3d.datasets.posed_images import CAMERAS, read_cameras, read_image
from mmkd3d.datasets.readers import existing
from mmkd3d.models.targets.places import picture_keys
from mmkd3d.models.teachers.cache_writer import CacheWriter, remove_cache
from mmkd3d.registry import MODELS

from .teacher_cache import progress


def hooks_with_frames(cfg: Config, only: Sequence[str] = ()) -> dict[int, dict]:
    """Each :class:`DistillationHook` of a config that loads posed frames.

    Args:
        cfg: The config.
        only: Names of hooks; empty takes all.

    Returns:
        Their configs by the place in ``custom_hooks``.
    """
    return {
        i: hook
        for i, hook in enumerate(cfg.get('custom_hooks') or ())
        if hook['type'].split('.')[-1] == 'DistillationHook'
        and hook.get('frames')
        and (not only or name_of(hook) in only)
    }


def name_of(hook: dict) -> str:
    """Of a :class:`DistillationHook`, by its config."""
    return hook.get('name', 'distill')


def cache_frames(
    cfg: Config,
    out: str | Path,
    *,
    only: Sequence[str] = (),
    dtype: str = 'float32',
    batch_size: int = 64,
    rebuild: bool = False,
    device: str | None = None,
) -> dict[int, Path]:
    """Build a cache of the teacher's maps of all frames, for each hook.

    An unfinished cache is gone on with; a finished one is left as it is.

    Args:
        cfg: With a :class:`DistillationHook` that has ``frames``.
        out: Folder; the cache of a hook is ``out/NAME``.
        only: Names of hooks; empty takes all.
        dtype: Of the storage: ``'float32'`` or ``'float16'``.
        batch_size: Images that are read at a time.
        rebuild: Remove what is there first.
        device: Of the teacher; None chooses.

    Returns:
        The folder of each cache by the place of its hook in
        ``custom_hooks``.

    Raises:
        FileNotFoundError: No folder of frames, or no frame in it.
        StaleCacheError: A folder holds a cache of something else.
    """
    init_default_scope(cfg.get('default_scope', 'mmkd3d'))
    device = device or get_device()
    folders = {}
    for place, hook in hooks_with_frames(cfg, only).items():
        options = {k: v for k, v in hook.get('target', {}).items() if k != 'cache'}
        target = MODELS.build(
            dict(type='mmkd3d.PlaceTarget', teacher=hook['teacher'], pairs=hook['pairs'], **options)
        ).to(device)
        folder = Path(out) / name_of(hook)
        if rebuild:
            remove_cache(folder)
        frames = hook['frames']
        images = Frames(frames['root'], frames.get('size', (240, 320)))
        first = target.maps(images[0].to(device))
        writer = CacheWriter(
            folder,
            images.keys,
            first.shape[1:],
            identity=target.identity(),
            source=dict(root=str(frames['root'])),
            dtype=dtype,
        )
        with progress(writer, len(images), 'frame') as bar:
            while writer.done < len(images):
                last = min(writer.done + batch_size, len(images))
                some = [images[i] for i in range(writer.done, last)]
                maps = target.maps(torch.cat(some).to(device))
                writer.write(maps.cpu().numpy())
                bar.update(len(some))
        folders[place] = folder
    return folders


class Frames:
    """All images of a folder of posed frames, (1, 3, H, W) in [0, 1].

    Of images that are the same, one.

    Args:
        root: See :class:`LoadPosedFrames`.
        size: H and W.

    Attributes:
        keys: Checksums of the images.

    Raises:
        FileNotFoundError: No such folder, or no frame in it.
    """

    def __init__(self, root: str | Path, size: Sequence[int]):
        root = existing(root, 'posed frames are read there', 'Set frames.root of the hook.')
        self.size = size
        files = {}
        for cameras in sorted(root.glob(f'*/{CAMERAS}')):
            ids, _, intrinsics = read_cameras(cameras.parent)
            for i in np.sort(ids):
                file = cameras.parent / f'{i:05d}.jpg', intrinsics
                files.setdefault(*picture_keys(self._read(*file)), file)
        if not files:
            raise FileNotFoundError(f'No {CAMERAS} in the folders of {root}.')
        self.keys, self.files = list(files), list(files.values())

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        return self._read(*self.files[index])

    def _read(self, path: Path, intrinsics: dict) -> Tensor:
        image, _ = read_image(path, intrinsics, self.size)
        return torch.tensor(image).movedim(-1, 0)[None].float() / 255
