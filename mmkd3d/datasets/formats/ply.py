"""Vertices and meshes of ply files, read with plyfile and trimesh."""

import io
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from .arrays import check_size
from .columns import Fields
from .meshes import sample_mesh

SIZES = dict(
    char=1, uchar=1, int8=1, uint8=1, short=2, ushort=2, int16=2, uint16=2,
    int=4, uint=4, int32=4, uint32=4, float=4, float32=4, double=8, float64=8,
)  # fmt: skip

MARK = b'\xef\xbb\xbf'
OLD_MAC = re.compile(rb'ply\r[^\n]')


class Element(NamedTuple):
    """Rows of a ply file.

    Attributes:
        name: In lower case: vertex, face.
        count: Of rows.
        sizes: Least bytes of each property in a binary row.
    """

    name: str
    count: int
    sizes: list[int]


class Header(NamedTuple):
    """What a ply file holds.

    Attributes:
        text: The header without comments, which need not be ASCII.
        length: Bytes of the header in the file.
        elements: In their order.
    """

    text: str
    length: int
    elements: list[Element]


def read_ply(
    path: Path, *, num_mesh_points: int, dense_vertices: bool, seed: int, **_
) -> np.ndarray | Fields:
    """Read the vertices with their columns, or sample the faces."""
    from plyfile import PlyData

    with _opened(path) as file:
        header = _header(file, path)
        _check_counts(header, file, path)
    elements = {element.name: element for element in header.elements}
    if 'vertex' not in elements:
        raise ValueError(f'{path}: no element vertex, there are {", ".join(elements) or "none"}.')
    if 'face' in elements and elements['face'].count:
        if not dense_vertices or elements['vertex'].count < num_mesh_points:
            return _sampled(path, header, num_mesh_points, seed)
    data = PlyData.read(_clean(path, header))
    vertex = next(element for element in data.elements if element.name.lower() == 'vertex')
    # lists, which have a len_dtype, are no columns
    names = [p.name for p in vertex.properties if not hasattr(p, 'len_dtype')]
    return {name: vertex[name] for name in names}


def _sampled(path: Path, header: Header, count: int, seed: int) -> Fields:
    """Sample the faces by area."""
    from plyfile import PlyData

    try:
        return sample_mesh(_clean(path, header, lower=True), 'ply', count, seed)
    except ValueError:
        if 'format ascii' in header.text:
            raise
    # trimesh reads lists of different length, as of triangles and quads, in text alone
    data, text = PlyData.read(_clean(path, header, lower=True)), io.BytesIO()
    data.text = True
    data.write(text)
    text.seek(0)
    return sample_mesh(text, 'ply', count, seed)


def _opened(path: Path) -> BinaryIO:
    """The file without a byte-order mark, and with ``\\n`` where lines end in ``\\r`` alone."""
    with open(path, 'rb') as file:
        start = file.read(8)
    if not start.startswith(MARK) and not OLD_MAC.match(start):
        return open(path, 'rb')
    data = path.read_bytes().removeprefix(MARK)
    if OLD_MAC.match(data):
        head, end, body = data.partition(b'end_header\r')
        body = body.replace(b'\r', b'\n') if b'format ascii' in head else body
        data = (head + end).replace(b'\r', b'\n') + body
    return io.BytesIO(data)


def _header(file: BinaryIO, path: Path) -> Header:
    lines: list[str] = []
    elements: list[Element] = []
    while True:
        line = file.readline(1 << 16)
        words = line.decode('latin-1').split()
        if not line:
            raise ValueError(f'{path}: its header has no end_header. The file is cut off.')
        if words and words[0] not in ('comment', 'obj_info'):
            lines.append(' '.join(words))
        if words[:1] == ['element']:
            elements.append(Element(words[1].lower(), int(words[2]), []))
        elif words[:2] == ['property', 'list']:
            elements[-1].sizes.append(SIZES[words[2]])
        elif words[:1] == ['property']:
            elements[-1].sizes.append(SIZES[words[1]])
        elif words[:1] == ['end_header']:
            return Header('\n'.join(lines) + '\n', file.tell(), elements)


def _check_counts(header: Header, file: BinaryIO, path: Path) -> None:
    """Refuse a file that does not hold what its header says; ``file`` stands behind the header."""
    ascii_ = 'format ascii' in header.text
    needed = sum(
        element.count * (2 * len(element.sizes) if ascii_ else sum(element.sizes))
        for element in header.elements
    )
    said = ', '.join(f'{element.count} of {element.name}' for element in header.elements)
    if min((element.count for element in header.elements), default=0) < 0:
        raise ValueError(f'{path}: its header says {said}.')
    rows = sum(1 for line in file if line.strip()) if ascii_ else 0
    # the last line may lack its end
    size = file.seek(0, io.SEEK_END) - header.length
    check_size(path, said, needed - int(ascii_), size)
    if rows > sum(element.count for element in header.elements):
        raise ValueError(
            f'{path}: its header says {said}, and {rows} rows follow. Correct the header, or make '
            'the file again.'
        )


def _clean(path: Path, header: Header, lower: bool = False) -> BinaryIO | str:
    """The file with a header that all readers take: ASCII, and for meshes in lower case."""
    text = header.text.lower() if lower else header.text
    with _opened(path) as file:
        stored = file.read(header.length)
        if (
            not isinstance(file, io.BytesIO)
            and stored.isascii()
            and b'\r' not in stored
            and not (lower and re.search(rb'[A-Z]', stored))
        ):
            return str(path)
        return io.BytesIO(text.encode() + file.read())
