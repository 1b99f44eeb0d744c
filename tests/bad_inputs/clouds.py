"""Files of point clouds: unusual but good ones, damaged ones, and files that are no clouds."""

import gzip
import io
import os
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from mmkd3d.datasets.formats import FORMATS
from mmkd3d.datasets.readers import read_clouds, read_points
from tests.bad_inputs.case import Case

NAMES = ('x', 'y', 'z', 'red', 'green', 'blue', 'intensity', 'time')


def cases(rng: np.random.Generator, folder: Path, canary: Path, count: int) -> Iterator[Case]:
    """``count`` files: a third of them good, of which the right points are known."""
    makers = (good_text, good_binary, cut, wrong_counts, no_numbers, other_kind, wrong_arrays)
    for number in range(count):
        make = makers[number % len(makers)]
        points = np.round(rng.normal(size=(int(rng.integers(40, 90)), 6)), 5)
        path, kind, good = make(rng, folder / f'{make.__name__}_{number}', points)
        yield Case(
            f'{make.__name__}: {kind} ({path.name})',
            lambda path=path: read(path),
            (lambda got, points=points: same(got, points)) if good else None,
            path.name,
        )


def read(path: Path) -> np.ndarray:
    if path.suffix in ('.npy', '.npz', '.h5'):
        return np.concatenate([points for _, points in read_clouds(path)])
    return read_points(path)


def same(got: np.ndarray, points: np.ndarray) -> bool:
    """All points, with their coordinates in the first three columns."""
    return len(got) == len(points) and np.allclose(got[:, :3], points[:, :3], atol=2e-5)


def good_text(rng, stem: Path, points: np.ndarray):
    """A table in a random dialect, with or without names, in a random order of columns."""
    separator = str(rng.choice([' ', '\t', ';', ',', '|', '   ']))
    comma = separator not in ',|' and rng.random() < 0.3
    order = rng.permutation(6) if (named := rng.random() < 0.6) else np.arange(6)
    names = [NAMES[k].upper() if rng.random() < 0.5 else NAMES[k] for k in order]
    rows = [[f'{value:.5f}' for value in row[order]] for row in points]
    if named and separator.strip() and rng.random() < 0.3:  # an index, as pandas writes it
        names, rows = ['', *names], [[str(i), *row] for i, row in enumerate(rows)]
    lines = [separator.join(row) for row in rows]
    if comma:
        lines = [line.replace('.', ',') for line in lines]
    end = separator if separator.strip() and rng.random() < 0.3 else ''
    lines = [line + end for line in lines]
    head = [''] * int(rng.integers(2))
    if named:
        start = str(rng.choice(['', '# ', '//'])) if separator.strip() else '# '
        start = '' if names[0] == '' else start
        head.append(start + separator.join(names))
    if rng.random() < 0.3:
        head.append(str(len(points)))
    text = str(rng.choice(['\n', '\r\n', '\r'])).join([*head, *lines])
    text += '\n' * int(rng.integers(3))
    encoding = str(rng.choice(['utf-8', 'utf-8-sig', 'utf-16', 'latin-1']))
    path = stem.with_suffix(str(rng.choice(['.txt', '.csv', '.xyz'])))
    path.write_bytes(text.encode(encoding))
    dialect = f'{separator!r}{" decimal commas" * comma}{" named" * named} {encoding} {head!r}'
    return path, dialect, True


def good_binary(rng, stem: Path, points: np.ndarray):
    """An array, a ply or a pcd with fields of random types and order."""
    kind = rng.choice(['.npy', '.npz', '.h5', '.ply', '.pcd'])
    path = stem.with_suffix(kind)
    order = rng.permutation(6)
    floats = str(rng.choice(['f4', 'f8']))
    table = np.empty(len(points), dtype=[(NAMES[k], floats if k < 3 else 'f4') for k in order])
    for k in order:
        table[NAMES[k]] = points[:, k]
    if kind == '.ply':
        write_ply(path, table, rng)
    elif kind == '.pcd':
        write_pcd(path, table)
    elif kind == '.h5':
        with h5py.File(path, 'w') as file:
            file.create_dataset(str(rng.choice(['points', 'scan/points', 'a/b/xyz'])), data=points)
    elif kind == '.npz':
        np.savez(path, points=points, label=np.zeros(3))
    else:
        np.save(path, table if rng.random() < 0.5 else points.astype(floats))
    return path, f'{floats} {order}', True


def write_ply(path: Path, table: np.ndarray, rng) -> None:
    types = dict(f4='float', f8='double')
    comment = str(rng.choice(['made by us', 'Größe in Metern', '路径 C:/点云']))
    header = ['ply', 'format binary_little_endian 1.0', f'comment {comment}']
    header += [f'element vertex {len(table)}']
    for name in table.dtype.names:
        shown = name.upper() if rng.random() < 0.2 else name
        header.append(f'property {types[table.dtype[name].str[1:]]} {shown}')
    data = '\n'.join([*header, 'end_header', '']).encode('utf-8') + table.tobytes()
    path.write_bytes(data)


def write_pcd(path: Path, table: np.ndarray, points: int | None = None) -> None:
    names = table.dtype.names
    number = len(table) if points is None else points
    header = [
        '# .PCD v0.7',
        'VERSION 0.7',
        f'FIELDS {" ".join(names)}',
        f'SIZE {" ".join(table.dtype[name].str[2:] for name in names)}',
        f'TYPE {" ".join("F" for _ in names)}',
        f'COUNT {" ".join("1" for _ in names)}',
        f'WIDTH {number}',
        'HEIGHT 1',
        'VIEWPOINT 0 0 0 1 0 0 0',
        f'POINTS {number}',
        'DATA binary',
        '',
    ]
    path.write_bytes('\n'.join(header).encode() + table.tobytes())


def write_bomb(path: Path) -> None:
    """A small npz whose array claims 240 GB, in the zip and in the header of the npy."""
    head = io.BytesIO()
    shape = dict(descr='<f8', fortran_order=False, shape=(10**10, 3))
    np.lib.format.write_array_header_1_0(head, shape)
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('points.npy', head.getvalue() + bytes(1000))
    data, size = path.read_bytes(), len(head.getvalue()) + 1000
    path.write_bytes(data.replace(struct.pack('<I', size), struct.pack('<I', 2**32 - 2)))


def cut(rng, stem: Path, points: np.ndarray):
    """A file of a format that carries counts, cut off in the middle."""
    path, kind, _ = good_binary(rng, stem, points)
    data = path.read_bytes()
    end = int(rng.integers(1, len(data) - 8))
    path.write_bytes(data[:end])
    return path, f'cut at {end} of {len(data)}', False


def wrong_counts(rng, stem: Path, points: np.ndarray):
    """Headers that promise more than the file holds, or that count points wrongly."""
    number = int(rng.choice([len(points) + 1, 10 * len(points), 10**9, 10**13, -1, -(10**9)]))
    kind = rng.choice(['.npy', '.ply', '.pcd', '.txt', '.stl', '.h5', 'offset', 'bomb'])
    path = stem.with_suffix('.npz' if kind in ('offset', 'bomb') else kind)
    table = np.core.records.fromarrays(points[:, :3].T.astype('f4'), names='x,y,z')
    if kind == '.npy':
        np.save(path, points)
        shape = f'({len(points)}, 6)'
        wrong = f'({number}, 6)'
        old = path.read_bytes()
        path.write_bytes(old.replace(shape.encode(), wrong.encode()[: len(shape) + 20], 1))
        data = path.read_bytes()
        surplus = len(data) - len(old)
        path.write_bytes(data.replace(b' ' * surplus + b'\n', b'\n', 1))
    elif kind == '.ply':
        write_ply(path, table, rng)
        old = f'element vertex {len(points)}'.encode()
        path.write_bytes(path.read_bytes().replace(old, f'element vertex {number}'.encode()))
    elif kind == '.pcd':
        write_pcd(path, table, number)
    elif kind == '.txt':
        number = max(abs(number), len(points) + 1)
        path.write_text(f'{number}\n' + '\n'.join(' '.join(map(str, row)) for row in points))
    elif kind == '.stl':
        path.write_bytes(bytes(80) + struct.pack('<I', number % 2**32) + bytes(50 * 3))
    elif kind == '.h5':
        with h5py.File(path, 'w') as file:
            rows = min(max(abs(number), 10**9), 10**12)
            file.create_dataset('points', shape=(rows, 3), dtype='f8', chunks=(1000, 3))
    elif kind == 'offset':
        wrong = [
            [0, number],
            [5, len(points)],
            [0, 30, 20, len(points)],
            [0.0, 9.5, 20, len(points)],
        ]
        offset = wrong[rng.integers(len(wrong))]
        kind = f'offset {offset}'
        np.savez(path, points=points, offset=np.array(offset))
    else:
        write_bomb(path)
    return path, f'{kind} {number}', False


def no_numbers(rng, stem: Path, points: np.ndarray):
    """Coordinates that are not finite, or no numbers."""
    kind = rng.choice(['.npy', '.npz', '.txt', '.ply', '.pcd', '.h5', '.bin'])
    path = stem.with_suffix(kind)
    row, column = int(rng.integers(len(points))), int(rng.integers(3))
    value = float(rng.choice([np.nan, np.inf, -np.inf, 1e300]))
    points = points[:, :3].copy()
    points[row, column] = value
    table = np.core.records.fromarrays(points.T, names='x,y,z')
    if kind == '.npy':
        np.save(path, points)
    elif kind == '.npz':
        np.savez(path, points=points)
    elif kind == '.bin':
        with np.errstate(over='ignore'):
            np.pad(points, ((0, 0), (0, 3))).astype('f4').tofile(path)
    elif kind == '.h5':
        with h5py.File(path, 'w') as file:
            file['points'] = points
    elif kind == '.txt':
        words = [['%.5f' % x for x in row] for row in points]
        words[row][column] = str(rng.choice(['nan', 'inf', 'abc', '1.2.3', '--', '1,5,', '0x1G']))
        value = words[row][column]
        path.write_text('\n'.join(' '.join(row) for row in words))
    elif kind == '.ply':
        write_ply(path, table, rng)
    else:
        write_pcd(path, table)
    return path, f'{value} in row {row}', False


def other_kind(rng, stem: Path, points: np.ndarray):
    """Something else under the suffix of a point cloud."""
    path = stem.with_suffix(str(rng.choice(sorted(FORMATS))))
    contents = dict(
        page=b'<!DOCTYPE html><html><body>Sign in</body></html>',
        pointer=b'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 99\n',
        gzip=gzip.compress(points.tobytes()),
        picture=b'\x89PNG\r\n\x1a\n' + points.tobytes(),
        json=b'{"points": [1, 2]}',
        empty=b'',
        prose=b'These are the scans of our lab.\nThey are in metres.\n',
    )
    kind = str(rng.choice([*contents, 'fifo', 'folder', 'link', 'missing']))
    if kind == 'fifo':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'link':
        path.symlink_to(stem.with_name('nowhere'))
    elif kind != 'missing':
        path.write_bytes(contents[kind])
    return path, kind, False


def wrong_arrays(rng, stem: Path, points: np.ndarray):
    """Arrays that are no clouds, in npy, npz and h5."""
    arrays = dict(
        transposed=np.tile(points, (9, 1))[:, :3].T,
        flat=points.ravel(),
        empty=points[:0],
        two_columns=points[:, :2],
        four_dims=points[None, None],
        complex=points + 1j,
        text=points.astype('S8'),
        flags=points > 0,
        number=np.float64(3),
        objects=np.array([points, points[:5]], dtype=object),
        pickled=np.array([dict(a=1)], dtype=object),
        times=points.astype('M8[s]'),
    )
    kind = str(rng.choice([*arrays, 'external', 'link', 'loop', 'several', 'none']))
    if kind in arrays:
        path = stem.with_suffix(str(rng.choice(['.npy', '.npz'])))
        save = np.save if path.suffix == '.npy' else np.savez
        save(path, arrays[kind])
        return path, kind, False
    path = stem.with_suffix('.h5')
    with h5py.File(path, 'w') as file:
        if kind == 'external':
            file.create_dataset(
                'points', shape=(10, 3), dtype='u1', external=[('/etc/passwd', 0, 99)]
            )
        elif kind == 'link':
            other = stem.with_name(f'{stem.name}_other.h5')
            with h5py.File(other, 'w') as target:
                target['secret'] = points
            file['points'] = h5py.ExternalLink(str(other), '/secret')
        elif kind == 'loop':
            file['points'] = h5py.SoftLink('/points')
        elif kind == 'several':
            file['a'], file['b'] = points, points
    return path, kind, False
