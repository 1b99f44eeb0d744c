import logging

import numpy as np
import pytest

from mmkd3d.datasets.formats.columns import _log, find_axes, take_columns
from mmkd3d.datasets.readers import read_file
from mmkd3d.registry import TRANSFORMS
from tests.helpers import rejects

VALUES = np.arange(24, dtype=np.float64).reshape(4, 6)


def fields(text):
    return {name: VALUES[:, k] for k, name in enumerate(text.split(','))}


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        ('x,y,z,r,g,b', [0, 1, 2, 3, 4, 5]),
        ('Time,X,Y,Z,R,G', [1, 2, 3, 0, 4, 5]),
        (',x,y,z,r,g', [1, 2, 3, 4, 5]),
        ('Unnamed: 0,z,y,x,r,g', [3, 2, 1, 4, 5]),
        ('index,x,y,z,id,g', [1, 2, 3, 4, 5]),
        ('nx,ny,nz,x,y,z', [3, 4, 5, 0, 1, 2]),
        ('"x","y","z",a,b,c', [0, 1, 2, 3, 4, 5]),
        ('a,x [m],y [m],z [m],b,c', [1, 2, 3, 0, 4, 5]),
        ('a,pos_x,pos_y,pos_z,b,c', [1, 2, 3, 0, 4, 5]),
        ('a,Points:0,Points:1,Points:2,b,c', [1, 2, 3, 0, 4, 5]),
        ('a,Northing,Easting,Height,b,c', [2, 1, 3, 0, 4, 5]),
        ('X,Y,Z,x,y,z', [3, 4, 5, 0, 1, 2]),  # laspy: X is not scaled
    ],
)
def test_coordinates_come_first_and_the_rest_in_order(names, expected):
    np.testing.assert_array_equal(take_columns(fields(names), None, 'a.csv'), VALUES[:, expected])


def test_columns_are_chosen_by_name_or_number():
    cloud = fields('t,X,Y,Z,R,nx')
    for columns in (
        ['x', 'y', 'z', 'red'],
        ['X', 'Y', 'Z', 'r'],
        [1, 2, 3, 4],
        ['1', 'y', 'z', 'R'],
    ):
        np.testing.assert_array_equal(take_columns(cloud, columns, 'a.csv'), VALUES[:, 1:5])
    # the first three are the coordinates, whatever their names
    np.testing.assert_array_equal(take_columns(cloud, ['Z', 'T', 'nx'], 'a'), VALUES[:, [3, 0, 5]])
    np.testing.assert_array_equal(take_columns(VALUES, [4, 0, 2], 'a'), VALUES[:, [4, 0, 2]])
    rejects(
        "a.csv: no column 'blue', there are t, X", take_columns, cloud, ['x', 'y', 'blue'], 'a.csv'
    )
    rejects("a: no column '6'", take_columns, cloud, [0, 1, 6], 'a')
    rejects("a: no column 'x', its 6 columns have no names", take_columns, VALUES, [*'xyz'], 'a')
    rejects('no columns x, y, z among a, b', take_columns, fields('a,b,c,d,e,f'), None, 'a')
    assert find_axes(['x', 'y', 'z', 'Z']) == ['x', 'y', 'z'] and not find_axes(
        ['X', 'x', 'y', 'z.']
    )


def test_the_type_holds_every_value():
    for types, expected in (
        (['f4', 'f4', 'f4', 'u1'], 'f4'),
        (['f4', 'f4', 'f4', 'u4'], 'f8'),
        (['f8', 'f4', 'f4', 'u1'], 'f8'),
        (['i4', 'i4', 'i4', 'u1'], 'f8'),
        (['f2', 'f2', 'f2', '?'], 'f4'),
    ):
        cloud = {name: np.ones(3, type_) for name, type_ in zip('xyzi', types)}
        assert take_columns(cloud, None, 'a').dtype == expected


def test_what_was_taken_is_logged_once_for_each_set(tmp_path, monkeypatch):
    _log.cache_clear()
    said = []
    monkeypatch.setattr(
        'mmkd3d.datasets.formats.columns.print_log', lambda text, *_: said.append((text, _[-1]))
    )
    for k, head in enumerate((',z,y,x', ',z,y,x', 'x,y,z,r')):
        (tmp_path / f'{k}.csv').write_text(f'{head}\n' + '0,1.5,2,3\n' * 3)
        read_file(tmp_path / f'{k}.csv')
    assert said == [
        ("Columns of the point clouds: x y z; left out: ''.", logging.INFO),
        ('Columns of the point clouds: x y z r.', logging.INFO),
    ]


def test_pipelines_take_columns_and_keep_all_of_them(tmp_path):
    (tmp_path / 'a.csv').write_text('t,x,y,z,r,g,b\n' + '9,1.5,2,3,4,5,6\n' * 2)
    results = dict(path=str(tmp_path / 'a.csv'))

    def load(**cfg):
        step = dict(type='mmkd3d.LoadPoints', **cfg)
        transform = TRANSFORMS.build(step)
        points = transform(dict(results))['points']
        assert transform.spec_effect(step, 3)['channels'] in (points.shape[1], None)
        return points[0].tolist()

    colours = ['x', 'y', 'z', 'red', 'green', 'blue']
    assert load() == [1.5, 2, 3]
    assert load(channels=None) == [1.5, 2, 3, 9, 4, 5, 6]
    assert load(columns=colours) == [1.5, 2, 3, 4, 5, 6]
    assert load(columns=colours, channels=4) == [1.5, 2, 3, 4]
    for wrong in ('xyz', ['x', 'y']):
        rejects('columns are three names or more', load, columns=wrong)
