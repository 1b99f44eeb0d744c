"""Find point-cloud files in folders.

Links to files and folders are followed. Hidden files and folders, ``__MACOSX``,
and text files without points, such as README.txt, are left out.
"""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmengine.logging import print_log

from mmkd3d.datasets.formats import FORMATS, begins_with_points, read_text
from mmkd3d.datasets.formats.text import HEAD

TEXT_FORMATS = tuple(suffix for suffix, read in FORMATS.items() if read is read_text)


def list_files(inputs: Iterable[str | Path]) -> list[Path]:
    """Find point-cloud files, in alphabetical order for each input.

    Args:
        inputs: Files; folders, searched as by :func:`files_in`; patterns such
            as ``'scans/*.ply'`` or ``'scans/**/*.ply'``.

    Raises:
        FileNotFoundError: An input matches nothing, or a link is broken.
    """
    files = []
    for given in inputs:
        path = Path(given)
        found = files_in(path) if path.is_dir() else [path] if path.is_file() else matches(path)
        if not found:
            raise FileNotFoundError(
                f'{given}: no such file, no file that matches the pattern, and no folder with '
                f'point clouds. Known formats are {" ".join(FORMATS)}.'
            )
        files += found
    return files


def files_in(folder: Path, suffixes: Iterable[str] | None = None) -> list[Path]:
    """Files of a folder and its sub-folders, sorted; of all known formats by default.

    See the module for what is left out; text files without points are logged.

    Raises:
        FileNotFoundError: A link to nothing that may be a folder.
    """
    suffixes = {suffix.lower() for suffix in suffixes or FORMATS}
    found, texts = [], []
    for inner in folders_in(folder):
        for path in visible(inner):
            suffix = path.suffix.lower()
            if path.is_symlink() and not path.exists() and suffix not in FORMATS:
                raise FileNotFoundError(
                    f'{path} is a link to {os.readlink(path)}, which does not exist. Repair or '
                    'remove the link.'
                )
            # a broken link to a file is kept: reading it names it
            if suffix in suffixes and not path.is_dir() and (path.is_file() or path.is_symlink()):
                (found if may_hold_points(path) else texts).append(path)
    if texts:
        print_log(
            f'{folder}: {len(texts)} text files without points are left out, the first is '
            f'{min(texts)}.',
            'current',
        )
    return sorted(found)


def folders_in(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """A folder and its visible sub-folders; links to a folder that contains them are left out."""
    real = os.path.realpath(folder)
    if any(os.path.commonpath([real, other]) == real for other in above):
        return
    yield folder
    for path in visible(folder):
        if path.is_dir():
            yield from folders_in(path, (*above, real))


def visible(folder: Path) -> list[Path]:
    """Content of a folder that is neither hidden nor the metadata of an archive, sorted.

    Raises:
        ValueError: The folder may not be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    except PermissionError as error:
        raise ValueError(f'{folder} cannot be read: {error.strerror}. Change its mode.') from error


def is_hidden(name: str) -> bool:
    """Whether a file or folder is no data: ``._0.npy``, ``.ipynb_checkpoints``, ``__MACOSX``."""
    return name.startswith('.') or name == '__MACOSX'


def matches(pattern: Path) -> list[Path]:
    """Files that match a pattern, sorted; folders that match are searched."""
    if '**' in pattern.parts:  # glob follows cycles of links
        at = pattern.parts.index('**')
        rest = Path(*pattern.parts[at + 1 :])
        tops = glob.glob(str(Path(*pattern.parts[:at])))
        folders = [inner for top in tops if Path(top).is_dir() for inner in folders_in(Path(top))]
        if not rest.parts:
            return sorted(path for inner in folders for path in visible(inner) if path.is_file())
        return sorted(
            {path for inner in folders for path in matches(Path(glob.escape(str(inner))) / rest)}
        )
    found = [
        path
        for path in map(Path, glob.glob(str(pattern)))
        if not any(is_hidden(part) and part not in pattern.parts for part in path.parts)
    ]
    inside = [file for path in found if path.is_dir() for file in files_in(path)]
    return sorted([*(path for path in found if not path.is_dir()), *inside])


def may_hold_points(path: Path) -> bool:
    """False for a text file that is not empty and whose beginning has no points."""
    if path.suffix.lower() not in TEXT_FORMATS or not path.is_file():
        return True
    try:
        with open(path, 'rb') as file:
            head = file.read(HEAD)
    except OSError:
        return True  # named by whoever reads it
    return begins_with_points(head)
