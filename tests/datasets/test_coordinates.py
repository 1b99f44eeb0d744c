"""Clouds far from zero, transposed clouds and rows that are not finite."""

import warnings

import numpy as np
import pytest
import torch

import mmkd3d
from mmkd3d.datasets import coordinates
from mmkd3d.datasets.coordinates import check_points, local_cloud, origin_of
from mmkd3d.datasets.readers import read_clouds, read_points
from mmkd3d.datasets.transforms.loading import LoadPoints
from mmkd3d.registry import DATASETS
from tests.helpers import rejects

UTM = np.array([431235.5, 5412346.25, 210.0])


def sphere(size=500, radius=0.5):
    points = np.random.default_rng(0).normal(size=(size, 3))
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def said(monkeypatch):
    """What is logged."""
    texts = []
    monkeypatch.setattr(coordinates, '_told', set())
    monkeypatch.setattr(coordinates, 'print_log', lambda text, *_: texts.append(text))
    return texts


@pytest.mark.parametrize('suffix', ['npy', 'txt', 'ply'])
def test_files_in_map_coordinates_keep_their_shape(suffix, tmp_path, said):
    given, path = sphere(radius=1.0) + UTM, tmp_path / f'utm.{suffix}'
    if suffix == 'npy':
        np.save(path, given)
    elif suffix == 'txt':
        np.savetxt(path, given, fmt='%.6f')
    else:
        plyfile = pytest.importorskip('plyfile')
        rows = np.array([*map(tuple, given)], [(axis, 'f8') for axis in 'xyz'])
        plyfile.PlyData([plyfile.PlyElement.describe(rows, 'vertex')]).write(path)
    for _ in range(2):
        points = read_points(path)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points - points.mean(0), given - given.mean(0), atol=1e-6)
    (text,) = said  # once
    assert f'utm.{suffix}' in text and 'origin (431235.0, 5412346.0, 210.0)' in text


@pytest.mark.parametrize(
    'shift, origin',
    [
        ((5e5, 5.4e6, 0), (5e5, 5.4e6, 0)),  # heights stay
        ((5e5, 0.25, 0), (5e5, 0, 0)),
        ((4e6, 1e6, 4.8e6), (4e6, 1e6, 4.8e6)),  # earth-centred
        ((-700000.75, 0, 300), (-700001, 0, 300)),
        ((80, 80, 0), (0, 0, 0)),  # fine enough
    ],
)
def test_the_origin_is_whole_and_adds_back_exactly(shift, origin):
    given = sphere(radius=1.0) + np.array(shift)
    _, points, found = local_cloud(given, 'a')
    assert found.dtype == np.float64 and found.tolist() == list(origin)
    np.testing.assert_allclose(points + found, given, rtol=0, atol=1e-5)


def test_small_clouds_get_a_finer_origin():
    given = sphere(radius=1e-4) + [432.3, 5412.7, 0]  # a room in kilometres
    _, points, origin = local_cloud(given, 'a')
    np.testing.assert_allclose(points + origin, given, rtol=0, atol=1e-10)
    assert (origin * 2**20 == np.rint(origin * 2**20)).all()


def test_a_room_stands_on_its_floor():
    room = np.random.default_rng(0).uniform(0, (6, 5, 2.6), (300, 3)) + UTM
    assert origin_of(room, up='z')[2] == 210 and origin_of(room)[2] == 211
    near = room - UTM
    assert not origin_of(near, up='z').any()


@pytest.mark.parametrize('dtype', ['float32', 'float64', 'float16', 'int16'])
def test_clouds_near_zero_keep_every_bit(dtype):
    given = (40 * sphere(radius=1.0) + 30).astype(dtype)
    points = check_points(np.concatenate([given, given * 3], axis=1), 'a')
    assert (points[:, :3] == given.astype(np.float32)).all()
    assert (points[:, 3:] == (given * 3).astype(np.float32)).all()


def test_each_cloud_of_a_batch_has_its_own_origin():
    given = np.stack([sphere(), sphere() + UTM, sphere() + UTM[::-1]])
    (_, near), (_, first), (_, second) = read_clouds(given)
    assert (near == given[0].astype(np.float32)).all()
    for found in (first, second):
        centred = found - found.mean(0)
        np.testing.assert_allclose(centred, near - near.mean(0), atol=1e-6)
    (_, (_, again), _) = read_clouds(torch.from_numpy(given))
    assert (again == first).all()


def test_coordinates_rounded_before_are_told_with_their_step():
    given = sphere(radius=1.0) + UTM
    with pytest.warns(UserWarning, match=r'a.npy: y goes in steps of 0.5 up to 5412347.*float32'):
        check_points(given.astype(np.float32), 'a.npy')
    with pytest.warns(UserWarning, match='steps of 0.5 up to'):  # stored as double afterwards
        check_points(given.astype(np.float32).astype(np.float64), 'a.npy')
    with pytest.warns(UserWarning, match='x goes in steps of 0.5 up to 1001.*float16'):
        check_points((sphere(radius=1.0) + [1000, 0, 0]).astype(np.float16), 'a.npy')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        check_points(given, 'a.npy')
        check_points(given.round(2), 'a.npy')  # centimetres are no float32
        check_points(np.rint(sphere(radius=50) + UTM), 'a.npy')  # a grid of whole metres
        check_points((sphere(radius=1.0) + 500).astype(np.float32), 'a.npy')


def test_a_few_points_at_zero_do_not_hide_a_map():
    given = sphere() + UTM
    given[[7, 300]] = 0  # a scanner's invalid points
    with pytest.warns(UserWarning, match=r'a: 2 of 500 .*row 7 at \(0.0, 0.0, 0.0\)'):
        _, points, origin = local_cloud(given, 'a')
    kept = np.delete(points, [7, 300], axis=0) + origin
    np.testing.assert_allclose(kept, np.delete(given, [7, 300], axis=0), rtol=0, atol=1e-6)
    given = sphere()
    given[7] = 30  # far, but float32 is fine enough
    assert not origin_of(given).any()


@pytest.mark.parametrize('part', [0.15, 0.5, 0.9])
def test_many_points_at_zero_do_not_hide_a_map(part):
    given = sphere(2000) + UTM
    missing = np.random.default_rng(1).random(2000) < part  # pixels of a structured scan
    given[missing] = 0
    with pytest.warns(UserWarning, match=f'a: {missing.sum()} of 2000 points lie far'):
        _, points, origin = local_cloud(given, 'a')
    np.testing.assert_allclose(points[~missing] + origin, given[~missing], rtol=0, atol=1e-6)
    with pytest.warns(UserWarning, match='lie far'):
        with pytest.warns(UserWarning, match='a: y goes in steps of 0.5'):
            check_points(given.astype(np.float32), 'a')


def test_far_points_of_a_local_cloud_are_told():
    given = sphere()
    given[7, 1] = 5e6
    with pytest.warns(UserWarning, match=r'a: 1 of 500 points lie far .*row 7'):
        assert not local_cloud(given, 'a').origin.any()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        given[7, 1], given[:100] = 0, 0  # zeros of a local cloud are near
        check_points(given, 'a')
        given[:400] = given[400]  # padded by copies of a point
        check_points(given, 'a')


@pytest.mark.parametrize('shape', [(3, 1024), (6, 2048), (3, 40), (9, 100)])
def test_transposed_clouds_are_refused(shape, tmp_path):
    says = rf'one per row, got shape \({shape[0]}, {shape[1]}\).*transposed.*points.T'
    rejects(f'cloud 0: .*{says}', lambda: list(read_clouds(np.ones(shape))))
    rejects(f'cloud 0: .*{says}', lambda: list(read_clouds(torch.ones(2, *shape))))
    np.save(tmp_path / 'a.npy', np.ones(shape))
    rejects(f'a.npy: .*{says}', read_points, tmp_path / 'a.npy')


def test_models_refuse_what_is_no_batch_of_clouds():
    student = mmkd3d.load_student('point-mae_toy')
    for shape in ((2, 3, 1024), (3, 1024), (1024, 3)):
        says = rf'needs points \(B, N, C\).*got shape \({", ".join(map(str, shape))}\)'
        rejects(says, student.extract_feat, torch.ones(shape))


def test_few_points_and_many_columns_are_no_transposed_cloud():
    for shape in ((3, 3), (3, 6), (4, 3), (1, 3), (3, 20), (1000, 515), (20, 35)):
        assert check_points(np.ones(shape), 'a').shape == shape


def test_no_real_numbers_are_refused():
    for points in (np.ones((9, 3), complex), np.ones((9, 3), bool), np.full((9, 3), 'a')):
        rejects('a: expected real numbers, got dtype', check_points, points, 'a')
    rejects('3 of 9 points have a NaN or infinite', check_points, np.eye(9, 3) * 1e300, 'a')
    assert check_points(torch.ones(9, 3, dtype=torch.bfloat16), 'a').dtype == np.float32


def test_sparse_tensors_are_refused_and_masked_values_are_nan():
    points = torch.from_numpy(sphere(20))
    rejects('a: .*layout torch.sparse_coo.*to_dense', check_points, points.to_sparse(), 'a')
    for dtype in ('float32', 'int16'):
        given = np.ma.masked_array((9 * sphere(20)).astype(dtype), mask=np.eye(20, 3) > 0)
        rejects('a: 3 of 20 points have a NaN', check_points, given, 'a')
        kept = check_points(given, 'a', drop_nan=True)
        assert (kept == given.data[3:].astype(np.float32)).all()


def test_rows_that_are_not_finite_are_dropped_on_request(tmp_path):
    points = sphere(20)
    points[3], points[7, 1] = np.nan, np.inf
    np.save(tmp_path / 'a.npy', points)
    rejects('a.npy: 2 of 20 .*row 3.*drop_nan=True, --drop-nan', read_points, tmp_path / 'a.npy')
    kept = read_points(tmp_path / 'a.npy', drop_nan=True)
    assert (kept == np.delete(points, [3, 7], axis=0).astype(np.float32)).all()
    rejects('20 of 20', check_points, np.full((20, 3), np.nan), 'a', drop_nan=True)
    parts = np.arange(20)
    found = LoadPoints(drop_nan=True)(dict(points=points, gt_parts=parts))
    assert found['gt_parts'].tolist() == np.delete(parts, [3, 7]).tolist()
    assert (found['points'] == kept).all()


def test_an_array_data_set_keeps_double_precision(tmp_path):
    given = np.stack([sphere() + UTM, sphere()])
    np.savez(tmp_path / 'a.npz', points=given)
    pipeline = [dict(type='LoadPoints'), dict(type='PackPoints')]
    data = DATASETS.build(dict(type='NpzPoints', file=tmp_path / 'a.npz', pipeline=pipeline))
    far, near = (data[i]['inputs']['points'].numpy() for i in range(2))
    assert far.dtype == near.dtype == np.float32
    np.testing.assert_allclose(far - far.mean(0), near - near.mean(0), atol=1e-6)
