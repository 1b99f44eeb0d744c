"""Reading posed frames of a scan; the layout is in ``scannet_layout``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmkd3d.datasets.readers import existing

CAMERAS = 'cameras.npz'


def read_cameras(folder: Path) -> tuple[np.ndarray, np.ndarray, dict]:
    """Ids (F,), poses (F, 4, 4) and intrinsics (3, 3) by name, of a folder.

    Raises:
        FileNotFoundError: No ``cameras.npz``.
    """
    path = existing(
        folder / CAMERAS, 'it holds the poses of the frames', 'Write it, or remove the folder.'
    )
    with np.load(path) as cameras:
        intrinsics = {k: cameras[k] for k in cameras if k.startswith('K_')}
        return cameras['frame'], cameras['cam2world'], intrinsics


def read_image(
    path: Path, intrinsics: Mapping[str, np.ndarray], size: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """An image, resized, with its intrinsics.

    Args:
        path: The file.
        intrinsics: ``K_WxH`` to (3, 3) for images of that size.
        size: H and W of the result.

    Returns:
        (H, W, 3) uint8 and (3, 3).

    Raises:
        FileNotFoundError: No such file.
        ValueError: It is no image, or there are no intrinsics for its size.
    """
    image = _open(path).convert('RGB')
    columns, rows = image.size
    key = f'K_{columns}x{rows}'
    if key not in intrinsics:
        raise ValueError(
            f'{path} has {columns}x{rows} pixels, but {CAMERAS} beside it has '
            f'no {key}, only {sorted(intrinsics)}. Add the intrinsics for '
            'images of this size.'
        )
    height, width = size
    # pixel u covers u - 0.5 to u + 0.5, so that -0.5 stays where it is
    x, y = width / columns, height / rows
    resize = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image), resize @ intrinsics[key]


def read_depth(path: Path) -> np.ndarray | None:
    """A depth image in mm as (h, w) float32 in metres.

    Returns:
        None where there is no file, or no measurement in it.

    Raises:
        ValueError: It is no image of one channel.
    """
    if not path.exists():
        return None
    depth = np.asarray(_open(path))
    if depth.ndim != 2:
        raise ValueError(
            f'{path}: expected a depth image of one channel, got shape {depth.shape}. Get it again.'
        )
    return depth.astype(np.float32) / 1000 if depth.any() else None


def _open(path: Path) -> Image.Image:
    try:
        image = Image.open(path)
        image.load()
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path} is missing, but {CAMERAS} beside it lists the frame. Get '
            'it, or take the frame out of the list.'
        ) from None
    except Exception as error:  # decoders raise many kinds
        raise ValueError(
            f'{path}: cannot be decoded as an image ({error}). Get it again.'
        ) from error
    return image
