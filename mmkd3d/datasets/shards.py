"""Shapes in tar files, for sets with more files than a disk or a cluster takes.

A packed folder holds ``shard-00000.tar, ...``, with one ``CLASS/SHAPE.npy`` for each
shape, as WebDataset names them; beside each tar an index ``shard-00000.npz``; and
``shards.json``. Nothing is ever extracted: a shape is read at its place in the tar.
"""

import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mmkd3d.datasets.base import PointDataset
from mmkd3d.datasets.folder import PointCloudFolder
from mmkd3d.datasets.items import FileItems, LazyItems
from mmkd3d.datasets.readers import existing, read_arrays, read_points
from mmkd3d.registry import DATASETS
from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.names import check_class_names

MANIFEST = 'shards.json'
HINT = 'Pack the folder again with tools/prepare_data/dataset.py shards, or copy it again.'


@DATASETS.register_module()
class PointCloudShards(PointDataset):
    """Shapes that :func:`pack_folder` packed: the samples of the folder, in its order.

    Any sampler, number of workers and number of processes works as with files. Begin the
    pipeline with ``LoadPoints``.

    Args:
        data_root: The packed folder.
        pipeline: Transforms.
        kwargs: See :class:`PointDataset`.

    Raises:
        FileNotFoundError: No such folder, or one of its files is missing.
        ValueError: One of its files is damaged; the message names it.
    """

    def __init__(
        self, data_root: str | Path, *, pipeline: Sequence[dict | Callable] = (), **kwargs
    ):
        super().__init__(data_root, pipeline=pipeline, **kwargs)

    def load_data_list(self) -> LazyItems:
        """One item per shape; points are read on access."""
        root = Path(self.data_root)
        path = existing(root / MANIFEST, 'it describes the shards', HINT)
        try:
            manifest = json.loads(path.read_text())
            classes, counts = manifest['classes'], [int(n) for n in manifest['shards']]
            if not counts:
                raise ValueError('no shards')
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise ValueError(f'{path} is damaged ({error!r}). {HINT}') from error
        parts = [_read_index(root, k, count) for k, count in enumerate(counts)]
        self._starts = np.cumsum([0, *counts])
        self._places = np.concatenate([places for _, places in parts])
        names = [name for part, _ in parts for name in part]
        if classes is not None:
            self._metainfo['classes'] = check_class_names(classes, path)
        self._names = FileItems('', names, *_labels(names, classes, path))
        return LazyItems(len(names), self._item)

    def _item(self, row: int) -> dict:
        item = self._names[row]
        del item['path']
        return dict(item, row=row)

    def get_data_info(self, idx: int) -> dict:
        """The item with its points."""
        info = super().get_data_info(idx)
        row = info.pop('row')
        shard = int(np.searchsorted(self._starts, row, 'right')) - 1
        info['points'] = self._read(_tar(Path(self.data_root), shard), row)
        return info

    def get_cat_ids(self, idx: int) -> list[int]:
        """The label, without reading the shape."""
        return [super().get_data_info(idx)['gt_label']]

    def _read(self, path: Path, row: int) -> np.ndarray:
        offset, size, crc = self._places[row].tolist()
        with open(path, 'rb') as file:
            file.seek(offset)
            content = file.read(size)
        if zlib.crc32(content) != crc:
            name = self._names[row]['sample_id']
            raise ValueError(f'{path}: the shape {name} is damaged. {HINT}')
        return np.load(io.BytesIO(content), allow_pickle=False)


def _tar(root: Path, number: int) -> Path:
    return root / f'shard-{number:05d}.tar'


def _labels(names: list[str], classes: Sequence[str] | None, path: Path) -> tuple:
    """Labels of shapes and names of the labels, if there are classes."""
    if classes is None:
        return ()
    number = {name: k for k, name in enumerate(classes)}
    strange = next((name for name in names if name.partition('/')[0] not in number), None)
    if strange is not None:
        raise ValueError(f'{path}: the shape {strange!r} has none of the classes. {HINT}')
    return [number[name.partition('/')[0]] for name in names], classes


def _read_index(root: Path, number: int, count: int) -> tuple[list[str], np.ndarray]:
    """Names of the members of a shard, and (n, 3) their offset, size and CRC-32."""
    tar = _tar(root, number)
    size = existing(tar, f'{MANIFEST} lists it', HINT).stat().st_size
    path = existing(tar.with_suffix('.npz'), f'it is the index of {tar.name}', HINT)
    found = read_arrays(path, dict(names='names', places='places', size='size'))
    names = os.fsdecode(found['names'].tobytes()).split('\0')[:-1]
    places = found['places']
    whole = places.shape == (len(names), 3) and places.dtype == np.int64 and len(names) == count
    if not whole or (places < 0).any() or (places[:, :2].sum(1) > size).any():
        raise ValueError(f'{path} is damaged. {HINT}')
    if size != int(found['size']):
        raise ValueError(
            f'{tar} has {size:,} bytes, expected {int(found["size"]):,}: it is cut off, or of '
            f'another packing. {HINT}'
        )
    return names, places


def pack_folder(
    root: str | Path, out: str | Path, *, shard_mb: int = 256, file_list=None, **options: Any
) -> int:
    """Pack the shapes of a :class:`PointCloudFolder` into tar files.

    Shards that are there already are kept, so that the same call goes on after an
    interruption.

    Args:
        root: The folder.
        out: Folder to write.
        shard_mb: Size of the files in a shard, in MB.
        file_list: See :class:`PointCloudFolder`.
        options: Of :func:`~mmkd3d.datasets.readers.read_points`.

    Returns:
        The number of shards.

    Raises:
        ValueError: A shape cannot be read, or ``out`` holds other shards.
    """
    data, out = PointCloudFolder(root, file_list=file_list), Path(out)
    paths = [Path(data.get_data_info(i)['path']) for i in range(len(data))]
    sizes = [path.stat().st_size for path in paths]
    shards = list(_split(paths, sizes, shard_mb * 10**6))
    text = json.dumps([[str(p) for p in paths], sizes, sorted(options.items())])
    manifest = dict(
        classes=data.metainfo.get('classes'),
        shards=[len(shard) for shard in shards],
        source=hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest(),
    )
    content, path = json.dumps(manifest, indent=1).encode(), out / MANIFEST
    if path.exists() and path.read_bytes() != content:
        raise ValueError(
            f'{out} holds shards of other files or options. Choose another folder, or remove it.'
        )
    write_atomic(path, content)
    for number, shard in enumerate(tqdm(shards, unit='shard', disable=None)):
        if not _tar(out, number).with_suffix('.npz').exists():
            _write(_tar(out, number), Path(root), shard, options)
    return len(shards)


def _split(paths: list[Path], sizes: list[int], most: int) -> Iterator[list[Path]]:
    """Consecutive files of at most so many bytes, but at least one file."""
    shard: list[Path] = []
    total = 0
    for path, size in zip(paths, sizes):
        if shard and total + size > most:
            yield shard
            shard, total = [], 0
        shard.append(path)
        total += size
    yield shard


def _write(tar: Path, root: Path, paths: list[Path], options: dict) -> None:
    """Write a shard, then its index."""
    partial, names, places = tar.with_name(f'.{tar.name}.partial'), [], []
    with open(partial, 'wb') as file, tarfile.open(fileobj=file, mode='w') as archive:
        for path in paths:
            buffer = io.BytesIO()
            np.save(buffer, read_points(path, **options))
            content = buffer.getvalue()
            name = path.relative_to(root).with_suffix('').as_posix() + '.npy'
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
            end = -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            names.append(os.fsencode(name) + b'\0')
            places.append((archive.offset - end, len(content), zlib.crc32(content)))
    os.replace(partial, tar)
    index = io.BytesIO()
    np.savez(
        index,
        names=np.frombuffer(b''.join(names), np.uint8),
        places=np.array(places, np.int64),
        size=np.int64(tar.stat().st_size),
    )
    write_atomic(tar.with_suffix('.npz'), index.getbuffer())
