"""Tell what a file is by its first bytes, whatever its name says."""

import os
import re
import stat
from pathlib import Path

# First bytes -> what begins with them. Long or impossible as numbers, so that
# no float32 array of coordinates begins with one.
MAGIC = {
    b'\x93NUMPY': 'a numpy array (npy)',
    b'\x89HDF\r\n\x1a\n': 'an HDF5 file',
    b'PK\x03\x04': 'a zip archive',
    b'PK\x05\x06': 'an empty zip archive',
    b'Rar!\x1a\x07': 'a rar archive',
    b'7z\xbc\xaf\x27\x1c': 'a 7z archive',
    b'\xfd7zXZ\x00': 'an xz archive',
    b'\x28\xb5\x2f\xfd': 'a zstd archive',
    b'\x89PNG\r\n\x1a\n': 'a PNG picture',
    b'\xff\xd8\xff': 'a JPEG picture',
    b'GIF87a': 'a GIF picture',
    b'GIF89a': 'a GIF picture',
    b'%PDF-': 'a PDF document',
    b'\x7fELF': 'a program',
    b'LASF': 'a las or laz file',
    b'glTF': 'a glb file',
    b'ply\n': 'a ply file',
    b'ply\r': 'a ply file',
    b'# .PCD': 'a pcd file',
}
PATTERNS = {
    rb'\x1f\x8b\x08[\x00-\x1f]': 'a gzip archive',
    rb'BZh[1-9]1AY&SY': 'a bzip2 archive',
    rb'(?s).{257}ustar': 'a tar archive',
    rb'\x80[\x02-\x05](?s:.*)\.\Z|\x80[\x04\x05]\x95': 'a Python pickle',
    rb'RIFF....WEBP': 'a WebP picture',
}
# Of text, without a byte-order mark and blanks, in any case.
TEXTS = {
    rb'<!doctype html|<html|<head|<body|<script': 'an HTML page',
    rb'<\?xml(?s:.*)<html': 'an HTML page',
    rb'<\?xml|<!doctype|<[a-z][\w:.-]*[\s>/]': 'an XML text',
    rb'\{\s*["}]|\[\s*\{': 'a JSON text',
}
POINTER = rb'version https://git-lfs\.github\.com/spec/\S+\s(?s:.*?)size (\d+)'


def file_kind(path: str | Path) -> str | None:
    """Name what a file is, with its article, for messages.

    Args:
        path: A file; it is opened only if it is a regular one.

    Returns:
        E.g. ``'an HTML page'``, ``'a git-lfs pointer to a file of 4096
        bytes'``, ``'a gzip archive'``, ``'an empty file'``, ``'a folder'`` or
        ``'a FIFO'``; a zip may be an npz file or a checkpoint of torch. None
        if the first bytes say nothing.

    Raises:
        OSError: The file is missing or cannot be opened.
    """
    mode = os.stat(path).st_mode
    special = special_kind(mode)
    if special or stat.S_ISDIR(mode):
        return special or 'a folder'
    with open(path, 'rb', buffering=0) as file:
        head = file.read(1024)
    if not head:
        return 'an empty file'
    if not head.strip(b'\0'):
        return 'a file of zero bytes'
    for start, kind in MAGIC.items():
        if head.startswith(start):
            return kind
    for pattern, kind in PATTERNS.items():
        if re.match(pattern, head):
            return kind
    return _text_kind(head)


def special_kind(mode: int) -> str | None:
    """Name a FIFO, a socket or a device, which may never end, by ``st_mode``; None for others."""
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    kinds = {stat.S_IFIFO: 'a FIFO', stat.S_IFSOCK: 'a socket'}
    return kinds.get(stat.S_IFMT(mode), 'a device')


def _text_kind(head: bytes) -> str | None:
    if head.startswith((b'\xff\xfe', b'\xfe\xff')):
        head = head[: len(head) // 2 * 2].decode('utf-16', 'ignore').encode()
    text = head.removeprefix(b'\xef\xbb\xbf').lstrip().lower()
    pointer = re.match(POINTER, text)
    if pointer:
        return f'a git-lfs pointer to a file of {int(pointer[1])} bytes'
    return next((kind for pattern, kind in TEXTS.items() if re.match(pattern, text)), None)
