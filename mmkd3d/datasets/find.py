"""Find point-cloud files in folders.

Links to files and folders are followed. Hidden files and folders, ``__MACOSX``,
and text files without points, such as README.txt, are left out.
"""

import glob
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmengine.logging import print_log

from mmkd3d.datasets.folder_index import Listing, index_path, read_index, stamp, write_index
from mmkd3d.datasets.formats import FORMATS, begins_with_points, read_text
from mmkd3d.datasets.formats.text import HEAD

TEXT_FORMATS = tuple(suffix for suffix, read in FORMATS.items() if read is read_text)
FIRST = 1024  # bytes in which most texts of points have one


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
    """Files of a folder and its sub-folders, sorted; see :func:`list_folder`."""
    return [folder / name for name in list_folder(folder, suffixes).files]


def list_folder(folder: str | Path, suffixes: Iterable[str] | None = None) -> Listing:
    """Find the files in a folder and its sub-folders.

    See the module for what is left out; text files without points are logged. The listing
    of a large folder is kept, see :mod:`~mmkd3d.datasets.folder_index`.

    Args:
        folder: The folder.
        suffixes: Of the files; those of all known formats by default.

    Raises:
        FileNotFoundError: A link to nothing that may be a folder.
        ValueError: A folder may not be read.
    """
    folder = os.fspath(folder)
    wanted = frozenset(suffix.lower() for suffix in suffixes or FORMATS)
    index = index_path(folder, wanted)
    listing, started = read_index(index, folder), time.time()
    if listing is None or any(may_hold_points(os.path.join(folder, n)) for n in listing.texts):
        listing = Listing([], [], [], [], [])
        _list(folder, '', (), wanted, listing)
        for names in (listing.files, listing.links, listing.texts):
            names.sort(key=lambda name: name.replace('/', '\0'))  # folder by folder
        write_index(index, listing, started)
    if listing.texts:
        print_log(
            f'{folder}: {len(listing.texts)} text files without points are left out, the first '
            f'is {os.path.join(folder, listing.texts[0])}.',
            'current',
        )
    return listing


def _list(
    top: str, inner: str, above: tuple[str, ...], suffixes: frozenset[str], found: Listing
) -> None:
    """Add the content of a folder and its sub-folders.

    Args:
        top: Folder that paths are relative to.
        inner: The folder, relative to ``top``, empty or with a ``/`` at the end.
        above: Real paths of the folders that contain a link that was followed.
        suffixes: Of the files.
        found: To add to.
    """
    here, folders = os.path.join(top, inner), []
    try:
        found.folders.append(inner)
        found.stamps.append(stamp(here))
        with os.scandir(here) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                link = entry.is_symlink()
                if os.path.isdir(entry.path) if link else entry.is_dir():
                    folders.append((entry.name, link))
                    continue
                suffix = os.path.splitext(entry.name)[1].lower()
                if link and suffix not in FORMATS:
                    _check_link(entry.path)
                if suffix in suffixes and (link or entry.is_file()):
                    # a broken link to a file is kept: reading it names it
                    text = suffix in TEXT_FORMATS and not may_hold_points(entry.path)
                    (found.texts if text else found.files).append(inner + entry.name)
                    if link:
                        found.links.append(inner + entry.name)
    except PermissionError as error:
        raise ValueError(
            f'{Path(here)} cannot be read: {error.strerror}. Change its mode.'
        ) from error
    for name, link in folders:
        chain = above
        if link:
            real, chain = os.path.realpath(here + name), (*above, os.path.realpath(here))
            if any(os.path.commonpath([real, other]) == real for other in chain):
                continue  # it contains a folder that it is in
        _list(top, f'{inner}{name}/', chain, suffixes, found)


def _check_link(path: str) -> None:
    """Refuse a link to nothing."""
    if not os.path.exists(path):
        raise FileNotFoundError(
            f'{path} is a link to {os.readlink(path)}, which does not exist. Repair or remove the '
            'link.'
        )


def files_of(folder: str | Path) -> set[str]:
    """Names of what is in a folder, without broken links; none if there is no folder."""
    try:
        with os.scandir(folder) as entries:
            return {e.name for e in entries if not e.is_symlink() or os.path.exists(e.path)}
    except OSError:
        return set()


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


def may_hold_points(path: str | Path) -> bool:
    """False for a text file that is not empty and whose beginning has no points."""
    if os.path.splitext(path)[1].lower() not in TEXT_FORMATS or not os.path.isfile(path):
        return True
    try:
        with open(path, 'rb') as file:
            head = file.read(FIRST)
            first = head[: head.rfind(b'\n') + 1]
            if first.strip() and b'\0' not in head and begins_with_points(first):
                return True
            head += file.read(HEAD - len(head))
    except OSError:
        return True  # named by whoever reads it
    return begins_with_points(head)
