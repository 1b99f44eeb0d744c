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

    with open(path, 'rb') as file:
        header = _header(file, path)
    _check_counts(header, path)
    elements = {element.name: element for element in header.elements}
    if 'vertex' not in elements:
        raise ValueError(f'{path}: no element vertex, there are {", ".join(elements) or "none"}.')
    if 'face' in elements and elements['face'].count:
        if not dense_vertices or elements['vertex'].count < num_mesh_points:
            return sample_mesh(_clean(path, header, lower=True), 'ply', num_mesh_points, seed)
    data = PlyData.read(_clean(path, header))
    vertex = next(element for element in data.elements if element.name.lower() == 'vertex')
    # lists, which have a len_dtype, are no columns
    names = [p.name for p in vertex.properties if not hasattr(p, 'len_dtype')]
    return {name: vertex[name] for name in names}


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


def _check_counts(header: Header, path: Path) -> None:
    ascii_ = 'format ascii' in header.text
    needed = sum(
        element.count * (2 * len(element.sizes) if ascii_ else sum(element.sizes))
        for element in header.elements
    )
    said = ', '.join(f'{element.count} of {element.name}' for element in header.elements)
    if min((element.count for element in header.elements), default=0) < 0:
        raise ValueError(f'{path}: its header says {said}.')
    # the last line may lack its end
    check_size(path, said, needed - int(ascii_), path.stat().st_size - header.length)


def _clean(path: Path, header: Header, lower: bool = False) -> BinaryIO | str:
    """The file with a header that all readers take: ASCII, and for meshes in lower case."""
    text = header.text.lower() if lower else header.text
    with open(path, 'rb') as file:
        stored = file.read(header.length)
        if (
            stored.isascii()
            and b'\r' not in stored
            and not (lower and re.search(rb'[A-Z]', stored))
        ):
            return str(path)
        return io.BytesIO(text.encode() + file.read())
