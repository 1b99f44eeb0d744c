"""Refuse files that are something else than their suffix says."""

from pathlib import Path

from mmkd3d.utils.file_kind import file_kind

# What a file may be under a suffix, by its first bytes.
ARRAYS = ('a numpy array (npy)', 'a zip archive', 'an HDF5 file')
KINDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(('.npy', '.npz', '.h5', '.hdf5'), ARRAYS),
    **dict.fromkeys(('.las', '.laz'), ('a las or laz file',)),
    '.ply': ('a ply file',),
    '.pcd': ('a pcd file',),
    '.glb': ('a glb file',),
    '.bin': ('a file of zero bytes', 'a Python pickle'),  # numbers can look like these
}
REPAIRS = {
    'an HTML page': 'The download failed; get the file again, and look at the page',
    'a git-lfs pointer': 'Run git lfs pull',
    'archive': 'Unpack it',
    'an empty file': 'Make or download it again',
}


def check_kind(path: Path) -> str | None:
    """Refuse a file that is something else than its suffix says, by its first bytes.

    Returns:
        See :func:`~mmkd3d.utils.file_kind.file_kind`.

    Raises:
        ValueError: E.g. a web page or an archive; the message names it.
    """
    kind = file_kind(path)
    if kind is None or kind in KINDS.get(path.suffix.lower(), ()):
        return kind
    repair = next((text for part, text in REPAIRS.items() if part in kind), 'Rename or convert it')
    raise ValueError(f'{path}: it is {kind}, expected a {path.suffix} file with points. {repair}.')
