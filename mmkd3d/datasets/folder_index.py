"""What is in a folder, kept in a file, because listing a million files takes a while.

The index is in ``$XDG_CACHE_HOME/mmkd3d`` (``~/.cache/mmkd3d``), one file for each
folder. It is used as long as no folder in it has changed: a new, removed or renamed file
changes the times of its folder.
"""

import hashlib
import io
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmkd3d.utils.atomic import write_atomic

VERSION = 1
LEAST = 10_000  # files; listing fewer takes no time
NAMES = ('files', 'links', 'texts', 'folders')
TICK = 2.0  # seconds; the coarsest times of a file system


class Listing(NamedTuple):
    """Content of a folder.

    Attributes:
        files: Relative paths, sorted.
        links: Those that are links.
        texts: Relative paths of text files without points.
        folders: Relative paths of all folders, ``''`` for the folder itself.
        stamps: (n, 3) of each of them, see :func:`stamp`.
    """

    files: list[str]
    links: list[str]
    texts: list[str]
    folders: list[str]
    stamps: list[tuple[int, int, int]]


def stamp(folder: str) -> tuple[int, int, int]:
    """What changes with the content of a folder: both times in ns, and its number."""
    found = os.stat(folder)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def index_path(folder: str, suffixes: Iterable[str]) -> Path:
    """The file of a folder's index."""
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    key = '\0'.join([os.path.abspath(folder), *sorted(suffixes)])
    name = hashlib.sha256(os.fsencode(key)).hexdigest()[:32]
    return Path(cache, 'mmkd3d', 'folders', f'{name}.npz')


def read_index(path: Path, folder: str) -> Listing | None:
    """The listing of a folder; None if there is none, or the folder has changed since."""
    try:
        with np.load(path, allow_pickle=False) as content:
            if int(content['version']) != VERSION:
                return None
            folders, stamps = _split(content['folders']), content['stamps']
            for inner, known in zip(folders, stamps.tolist(), strict=True):
                if stamp(os.path.join(folder, inner)) != tuple(known):
                    return None
            names = (_split(content[key]) for key in ('files', 'links', 'texts'))
            return Listing(*names, folders, stamps.tolist())
    except Exception:  # a damaged file raises errors of many types
        return None


def write_index(path: Path, listing: Listing, started: float) -> None:
    """Write the listing of a large folder, unless it may be changing.

    Args:
        path: File of the index.
        listing: Its content.
        started: Time at which listing began. A folder that changed just before may change
            again without another time.
    """
    newest = max(max(times[:2]) for times in listing.stamps) / 1e9
    if len(listing.files) < LEAST or newest > started - TICK or not is_main_process():
        return
    file = io.BytesIO()
    names = {key: _joined(getattr(listing, key)) for key in NAMES}
    np.savez(file, version=VERSION, stamps=np.array(listing.stamps, np.int64), **names)
    try:
        write_atomic(path, file.getbuffer())
    except OSError as error:
        print_log(
            f'No index of {len(listing.files)} files is kept, so that they are listed in each '
            f'run: {error}. Set XDG_CACHE_HOME to a folder that can be written.',
            'current',
            logging.WARNING,
        )


def _joined(names: list[str]) -> np.ndarray:
    return np.frombuffer(b''.join(os.fsencode(name) + b'\0' for name in names), np.uint8)


def _split(text: np.ndarray) -> list[str]:
    return os.fsdecode(text.tobytes()).split('\0')[:-1]
