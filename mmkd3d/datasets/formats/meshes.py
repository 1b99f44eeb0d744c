"""Meshes and their vertices (off, obj, stl, glb), read with trimesh."""

import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .arrays import check_size
from .columns import Fields


def read_mesh(
    path: Path, *, num_mesh_points: int, dense_vertices: bool, seed: int, **_
) -> np.ndarray | Fields:
    """Sample the surface of a mesh by area; a file without faces gives its vertices."""
    kind = path.suffix.lower()[1:]
    # content alone: files that it names, such as textures, are not opened
    data = path.read_bytes().removeprefix(b'\xef\xbb\xbf')
    if kind == 'off':
        _check_off(data, path)
    if kind == 'stl':
        data = data[: _stl_size(data, path)]
    mesh = _load(io.BytesIO(data), kind)
    if not len(getattr(mesh, 'faces', ())):
        return _vertices(data, path)
    if dense_vertices and len(mesh.vertices) >= num_mesh_points:
        of_vertices = getattr(mesh.visual, 'kind', None) == 'vertex'
        return _columns(mesh.vertices, mesh.visual.vertex_colors if of_vertices else ())
    return _sampled(mesh, num_mesh_points, seed)


def sample_mesh(file: BinaryIO | str, kind: str, count: int, seed: int) -> Fields:
    """Sample the surface of a mesh of the format ``kind`` by area."""
    return _sampled(_load(file, kind), count, seed)


def _load(file: BinaryIO | str, kind: str) -> Any:
    import trimesh

    return trimesh.load(file, file_type=kind, force='mesh', process=False)


def _sampled(mesh: Any, count: int, seed: int) -> Fields:
    import trimesh

    points, _ = trimesh.sample.sample_surface(mesh, count, seed=seed)
    return _columns(points)


def _vertices(data: bytes, path: Path) -> Fields:
    """Vertices of a file without faces, with their colours if all have one."""
    import trimesh

    kind = path.suffix.lower()[1:]
    scene = trimesh.load_scene(io.BytesIO(data), file_type=kind, process=False)
    clouds = scene.dump()
    clouds = [cloud for cloud in clouds if len(cloud.vertices)]
    if not clouds:
        raise ValueError(f'{path}: no faces and no points. The file is cut off, or holds neither.')
    colours = [getattr(cloud, 'colors', ()) for cloud in clouds]
    if any(len(c) != len(cloud.vertices) for c, cloud in zip(colours, clouds)):
        colours = []
    return _columns(
        np.concatenate([cloud.vertices for cloud in clouds]),
        np.concatenate(colours) if colours else (),
    )


def _columns(points: np.ndarray, colours: Any = ()) -> Fields:
    """Columns x, y, z of points (N, 3), and of colours (N, 3 or more)."""
    fields = dict(zip('xyz', np.asarray(points, dtype=np.float64).T))
    if len(colours) == len(points):
        fields.update(zip(('red', 'green', 'blue'), np.asarray(colours)[:, :3].T))
    return fields


def _check_off(data: bytes, path: Path) -> None:
    """Refuse a file with fewer lines than its header counts vertices and faces."""
    lines = [line for line in data.split(b'\n') if line.split(b'#')[0].strip()]
    words = b' '.join(lines[:2]).upper().partition(b'OFF')[2].split()
    # counts stand in the line of OFF or in the next
    head = 1 if len(lines[0].upper().partition(b'OFF')[2].split()) >= 2 else 2
    if len(words) >= 2 and all(word.isdigit() for word in words[:2]):
        vertices, faces = int(words[0]), int(words[1])
        if len(lines) - head < vertices + faces:
            raise ValueError(
                f'{path}: its header says {vertices} vertices and {faces} faces, and '
                f'{len(lines) - head} lines follow. The file is cut off; get it again.'
            )


def _stl_size(data: bytes, path: Path) -> int:
    """Bytes up to the end of the last triangle.

    Raises:
        ValueError: A binary file that is shorter than its count of triangles,
            or an unfinished text.
    """
    head = data[:84]
    if head.lstrip().lower().startswith(b'solid') and b'\0' not in head:
        if b'endsolid' not in data[-256:].lower():
            raise ValueError(f'{path}: it has no line endsolid. The file is cut off; get it again.')
        return len(data)
    count = int.from_bytes(head[80:84], 'little')
    check_size(path, f'{count} triangles', 50 * count, len(data) - 84)
    return 84 + 50 * count
