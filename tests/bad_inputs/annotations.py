"""Labels, boxes and info files that are wrong, or that run something when they are unpickled."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmkd3d.datasets.box_files import read_boxes
from mmkd3d.datasets.infos import read_infos
from mmkd3d.datasets.modelnet import ModelNet40
from mmkd3d.datasets.npz import NpzPoints
from tests.bad_inputs.case import Case
from tests.bad_inputs.commands import Hostile

BOX = {'class': 'crate', 'x': 1.0, 'y': 2.0, 'z': 0.5, 'dx': 1.0, 'dy': 1.0, 'dz': 1.0, 'yaw': 0.0}
WRONG_VALUES = (None, '', 'far', np.nan, np.inf, -np.inf, [1, 2], {}, '1,5')


def cases(rng: np.random.Generator, folder: Path, canary: Path, count: int) -> Iterator[Case]:
    """``count`` annotation files with one mistake each."""
    makers = (boxes, infos, labels, pickles)
    for number in range(count):
        make = makers[number % len(makers)]
        path = folder / f'{make.__name__}_{number}'
        yield make(rng, path, canary)


def boxes(rng, path: Path, canary: Path) -> Case:
    """A box without a column, or with a value that is no number, in csv or json."""
    rows = [dict(BOX) for _ in range(3)]
    row, key = rows[rng.integers(3)], str(rng.choice([*BOX][:7]))
    if rng.random() < 0.4:
        value = 'is missing'
        for row in rows:
            del row[key]
    else:
        value = -1.0 if key[0] == 'd' else WRONG_VALUES[rng.integers(len(WRONG_VALUES))]
        if key == 'class':
            value = ''
        row[key] = value
    if rng.random() < 0.5:
        path = path.with_suffix('.json')
        path.write_text(json.dumps(rows))
    else:
        path = path.with_suffix('.csv')
        lines = [','.join(str(r.get(k, '')).replace(',', ' ') for k in rows[0]) for r in rows]
        path.write_text('\n'.join([','.join(rows[0]), *lines]))
    return Case(f'box with {key} {value!r}', lambda: read_boxes(path), None, path.name)


def infos(rng, path: Path, canary: Path) -> Case:
    """An info file whose structure or boxes are wrong."""
    path = path.with_suffix('.pkl')
    box = dict(bbox_3d=[0.0, 0, 0, 1, 1, 1], bbox_label_3d=0)
    scan = dict(lidar_points=dict(lidar_path='a.bin', num_pts_feats=3), instances=[box])
    content: dict = dict(metainfo=dict(categories=dict(crate=0)), data_list=[scan])
    changes = dict(
        no_list=lambda: content.pop('data_list'),
        list_of_numbers=lambda: content.update(data_list=[1]),
        none=lambda: content.update(data_list=None),
        metainfo=lambda: content.update(metainfo=[1]),
        categories=lambda: content.update(metainfo=dict(categories=dict(crate=3))),
        no_points=lambda: scan.pop('lidar_points'),
        points=lambda: scan.update(lidar_points='a.bin'),
        no_instances=lambda: scan.pop('instances'),
        instances=lambda: scan.update(instances=3),
        label=lambda: box.update(bbox_label_3d=7),
        text_label=lambda: box.update(bbox_label_3d='crate'),
        no_label=lambda: box.pop('bbox_label_3d'),
        no_box=lambda: box.pop('bbox_3d'),
        short=lambda: box.update(bbox_3d=[1, 2, 3]),
        nan=lambda: box.update(bbox_3d=[np.nan] * 6),
        size=lambda: box.update(bbox_3d=[0, 0, 0, 1, 1, -1]),
        text=lambda: box.update(bbox_3d='0 0 0 1 1 1'),
    )
    kind = str(rng.choice([*changes]))
    changes[kind]()
    path.write_bytes(pickle.dumps(content))
    return Case(f'infos: {kind}', lambda: read_infos(path), None, path.name)


def labels(rng, path: Path, canary: Path) -> Case:
    """Arrays of labels that do not fit the clouds."""
    path = path.with_suffix('.npz')
    arrays = dict(points=rng.normal(size=(6, 30, 3)), label=np.arange(6) % 2, names=['a', 'b'])
    changes = dict(
        short=dict(label=np.arange(4) % 2),
        high=dict(label=np.arange(6)),
        huge=dict(label=np.arange(6) * 10**9, names=None),
        negative=dict(label=np.arange(6) - 3),
        fraction=dict(label=np.arange(6) / 4),
        nan=dict(label=np.full(6, np.nan)),
        text=dict(label=np.array(['a'] * 6)),
        two_dims=dict(label=np.zeros((6, 2), dtype=int)),
        points=dict(points=rng.normal(size=(6, 30))),
        empty=dict(points=np.zeros((0, 30, 3)), label=np.zeros(0, dtype=int)),
        other=dict(label=None),
    )
    kind = str(rng.choice([*changes]))
    arrays.update(changes[kind])
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})

    def read() -> list:
        pipeline = [dict(type='LoadPoints'), dict(type='PackPoints')]
        return [*NpzPoints(path, label='label', names='names', pipeline=pipeline)]

    return Case(f'labels: {kind}', read, None, path.stem)


def pickles(rng, path: Path, canary: Path) -> Case:
    """Pickles of data sets that run something, or are something else."""
    hostile = Hostile(canary)
    contents = dict(
        call=hostile,
        inside=dict(metainfo={}, data_list=[hostile]),
        key={hostile: 1},
        array=np.array([hostile], dtype=object),
        number=3,
        none=None,
        texts=['a'],
        cut=dict(metainfo={}, data_list=[dict(a=1)] * 50),
    )
    kind = str(rng.choice([*contents]))
    data = pickle.dumps(contents[kind], protocol=int(rng.integers(2, 6)))
    path.mkdir()
    name = str(rng.choice(['infos.pkl', 'modelnet40_train_8192pts_fps.dat']))
    (path / name).write_bytes(data[: len(data) // 2] if kind == 'cut' else data)
    if name == 'infos.pkl':
        return Case(f'{name}: {kind}', lambda: read_infos(path / name), None, name)
    (path / 'modelnet40_shape_names.txt').write_text('bed\nchair\n')
    return Case(f'{name}: {kind}', lambda: ModelNet40(path, split='train'), None, name)
