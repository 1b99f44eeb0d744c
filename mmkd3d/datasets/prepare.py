"""Helpers of ``tools/prepare_data``: archives and meshes to arrays."""

import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def unpacked(archive: str | Path) -> Iterator[Path]:
    """Folder of an archive: itself, or a zip or tar file unpacked for a while.

    Raises:
        FileNotFoundError: There is no such folder or file.
    """
    archive = Path(archive)
    if archive.is_dir():
        yield archive
        return
    if not archive.is_file():
        raise FileNotFoundError(f'No folder and no archive {archive}.')
    with tempfile.TemporaryDirectory() as folder:
        # a tar may name files outside of the folder
        safe: dict = dict(filter='data') if tarfile.is_tarfile(archive) else {}
        shutil.unpack_archive(archive, folder, **safe)
        yield Path(folder)


def sample_mesh(path: Path, num_points: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample a surface by area; centre the points and scale them to radius 1.

    Returns:
        tuple: Points (num_points, 3) as float16, and the face of each point
        (num_points,), an index into the file's faces.

    Raises:
        ValueError: The file has no surface.
    """
    import trimesh

    mesh = trimesh.load(path, force='mesh', process=False)
    if not len(mesh.faces) or not mesh.area > 0:
        raise ValueError(f'{path} has no surface.')
    points, faces = trimesh.sample.sample_surface(mesh, num_points, seed=seed)
    points = points - points.mean(0)
    points /= np.linalg.norm(points, axis=1).max()
    return points.astype(np.float16), faces
