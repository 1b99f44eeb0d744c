"""Keep features on disk as they come, until they are one npz file."""

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from mmkd3d.utils.atomic import write_atomic

SETTINGS = 'settings.json'


class FeatureParts:
    """Parts of a feature file, in the folder ``NAME.partial`` beside it.

    A killed or failed run leaves complete parts; the next one with the same
    settings goes on from them.

    Args:
        out: The npz file.
        settings: What the features depend on, as plain data.

    Attributes:
        folder: Of the parts.
        done: Ids of the clouds that have features.

    Raises:
        ValueError: The folder has features of other settings.
    """

    def __init__(self, out: Path, settings: dict):
        self.out, self.settings = out, settings
        self.folder = out.with_name(f'{out.stem}.partial')
        self._refuse_other_settings()
        self.files = sorted(self.folder.glob('[0-9]*.npz'))
        self.done = {str(i) for file in self.files for i in np.load(file)['ids']}

    def add(self, ids: Sequence[str], feats: Sequence[Tensor]) -> None:
        """Write the features of some clouds."""
        if not self.files:
            write_atomic(self.folder / SETTINGS, json.dumps(self.settings, indent=1).encode())
        file = self.folder / f'{len(self.files):06d}.npz'
        save_npz(file, dict(stack(feats, self.settings['level']), ids=np.array(ids)))
        self.files.append(file)
        self.done.update(ids)

    def join(self, **more) -> dict[str, np.ndarray]:
        """Write all features and other arrays to the npz file, and remove the parts.

        Returns:
            The content of the npz file.
        """
        parts = [dict(np.load(file)) for file in self.files]
        arrays = {k: np.concatenate([part[k] for part in parts]) for k in ('features', 'ids')}
        if 'offset' in parts[0]:
            sizes = np.concatenate([np.diff(part['offset']) for part in parts])
            arrays['offset'] = np.cumsum([0, *sizes])
        arrays.update(more)
        save_npz(self.out, arrays)
        shutil.rmtree(self.folder)
        return arrays

    def _refuse_other_settings(self) -> None:
        path = self.folder / SETTINGS
        if not path.is_file():
            return
        known = json.loads(path.read_text())
        other = [k for k in self.settings if self.settings[k] != known.get(k)]
        if other:
            raise ValueError(
                f'{self.folder} holds features of an unfinished run with '
                f'{other[0]}={known.get(other[0])!r}, not {self.settings[other[0]]!r}. Finish '
                'that run, remove the folder, or choose another output.'
            )


def save_npz(path: Path, arrays: dict) -> None:
    """Write an npz file atomically."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_atomic(path, content.getbuffer())


def stack(feats: Sequence[Tensor], level: str) -> dict[str, np.ndarray]:
    """Features as one array; those of points end to end."""
    arrays = [rows.numpy() for rows in feats]
    if level != 'point':
        return dict(features=np.stack(arrays))
    offset = np.cumsum([0, *map(len, arrays)])
    return dict(features=np.concatenate(arrays), offset=offset)
