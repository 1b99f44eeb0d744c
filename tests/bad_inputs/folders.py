"""Folders of shapes as they are found: links, hidden files, archives' metadata, strays."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmkd3d.datasets.folder import PointCloudFolder
from mmkd3d.datasets.readers import list_files
from tests.bad_inputs.case import Case

JUNK = (
    '.DS_Store',
    '._{}.npy',
    '.ipynb_checkpoints/{}-checkpoint.npy',
    '__MACOSX/._{}.npy',
    '.git/{}.npy',
    'Thumbs.db',
    'README.md',
    'notes.json',
)


def cases(rng: np.random.Generator, folder: Path, canary: Path, count: int) -> Iterator[Case]:
    """``count`` folders; the right classes and shapes of each are counted while it is made."""
    for number in range(count):
        root = folder / f'folder_{number}'
        kind, shapes = make_tree(rng, root, folder / f'elsewhere_{number}')
        if number % 4 == 3:
            named = spoil(rng, root)
            kind = f'{named} in {kind}'
            yield Case(kind, lambda root=root: read_all(root), None, named)
        elif number % 4 == 2:
            total = sum(map(len, shapes.values()))
            yield Case(kind, lambda root=root: len(list_files([root])), lambda n, t=total: n == t)
        else:
            yield Case(kind, lambda root=root: labels_of(root), lambda got, s=shapes: got == s)


def make_tree(rng, root: Path, elsewhere: Path):
    """Class folders with shapes, some through links, and junk everywhere."""
    shapes: dict[str, set] = {}
    names = rng.choice(['bed', 'chair', 'Lamp', 'tv stand', 'Stühle', 'x-ray'], 3, replace=False)
    linked = []
    for name in map(str, names):
        place = root / name
        if rng.random() < 0.3:
            linked.append(name)
            place = elsewhere / name
        shapes[name] = set()
        for shape in range(int(rng.integers(1, 4))):
            inner = 'train/' * int(rng.integers(2))
            path = place / inner / f'{shape}.npy'
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, rng.normal(size=(30, 3)))
            shapes[name].add(f'{name}/{inner}{shape}')
        if name in linked:
            root.mkdir(exist_ok=True)
            (root / name).symlink_to(place, target_is_directory=True)
    junk = [str(rng.choice(JUNK)).format(k) for k in range(int(rng.integers(1, 4)))]
    for name in junk:
        place = root if rng.random() < 0.5 else root / str(rng.choice(names))
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'\0\5\26\7 not a cloud')
    if rng.random() < 0.3:
        (root / str(names[0]) / 'loop').symlink_to(root, target_is_directory=True)
    if rng.random() < 0.3:
        (root / 'README.txt').write_text('Scans of our lab, 3 of each class.\n')
    return f'links {linked}, junk {junk}', shapes


def spoil(rng, root: Path) -> str:
    """Add something that must be told; returns its name."""
    classes = sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] not in '._')
    kind = rng.choice(['stray', 'empty', 'nan', 'broken link', 'other'])
    if kind == 'stray':
        np.save(root / 'stray.npy', rng.normal(size=(30, 3)))
        return 'stray.npy'
    path = classes[0] / f'bad_{kind.replace(" ", "_")}.npy'
    if kind == 'broken link':
        os.symlink(root / 'nowhere.npy', path)
    elif kind == 'nan':
        np.save(path, np.full((30, 3), np.nan))
    else:
        path.write_bytes(b'' if kind == 'empty' else b'<html></html>')
    return path.name


def read_all(root: Path) -> int:
    pipeline = [dict(type='LoadPoints'), dict(type='PackPoints')]
    dataset = PointCloudFolder(root, pipeline=pipeline)
    return len([dataset[i] for i in range(len(dataset))])


def labels_of(root: Path) -> dict[str, set]:
    """Names of the shapes of each class."""
    dataset = PointCloudFolder(root, lazy_init=False)
    classes = dataset.metainfo['classes']
    found: dict[str, set] = {name: set() for name in classes}
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        found[classes[info['gt_label']]].add(info['sample_id'])
    return found
