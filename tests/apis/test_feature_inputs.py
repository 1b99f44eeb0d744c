"""Feature extraction from files, arrays and scaled clouds, and errors for bad input."""

import warnings

import numpy as np
import pytest
import torch

from tests.apis.student_files import close, clouds, config_of, extractor, save
from tests.apis.test_students import BACKBONE
from tests.datasets.test_readers import CLOUD, write
from tests.helpers import rejects


# tests/datasets/test_readers.py tests all formats
@pytest.mark.parametrize('suffix', ['.npz', '.bin', '.ply'])
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_files_give_the_features_of_the_array(suffix, files, tmp_path):
    path = write(tmp_path / f'cloud{suffix}')
    extract = extractor(files['plain'])
    expected = extract(CLOUD)
    close(extract(path, load_dim=6), expected, atol=1e-4)
    close(extract([str(path), path], load_dim=6)[1], expected, atol=1e-4)
    in_folder = extract(tmp_path, load_dim=6)
    assert in_folder.shape == (1, 48)
    assert extract(str(tmp_path / '*'), load_dim=6).shape == (1, 48)
    close(extract(CLOUD[:, :3]), expected)
    close(extract(torch.from_numpy(CLOUD).requires_grad_()), expected)


def test_a_mesh_is_sampled(files, tmp_path):
    trimesh = pytest.importorskip('trimesh')
    trimesh.creation.box(bounds=[[0, 0, 0], [1, 1, 1]]).export(tmp_path / 'cube.off')
    texts = told(extract := extractor(files['plain']), tmp_path / 'cube.off')
    assert any('8192 points' in text for text in texts)
    assert any('centre 0.8' in text for text in texts)
    assert extract(tmp_path / 'cube.off').shape == (48,)


def test_arrays_of_many_clouds_in_files(files, tmp_path):
    points = clouds(4)
    np.savez(tmp_path / 'a.npz', points=points, others=points[:2] * 0.99)
    np.save(tmp_path / 'b.npy', points)
    np.savez(tmp_path / 'c.npz', xyz=points.reshape(-1, 3), offset=[0, 40, 80, 120, 160])
    extract = extractor(files['plain'])
    expected = extract(points)
    for name in ('a.npz', 'b.npy', 'c.npz'):
        close(extract(tmp_path / name), expected)
    close(extract(tmp_path / 'a.npz', key='others'), extract(points[:2] * 0.99))
    rejects(r"a.npz: no array 'cloud'.*others", extract, tmp_path / 'a.npz', key='cloud')
    per_point = extractor(files['plain'], level='point')(tmp_path / 'a.npz')
    assert [tuple(x.shape) for x in per_point] == [(40, 24)] * 4


def told(extract, points, **kwargs):
    """Texts of the warnings that the extractor raises."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        extract(points, **kwargs)
    return [str(w.message) for w in caught if w.category is UserWarning]


def test_what_does_not_fit_is_told_once_with_both_values(files):
    for name, size in (('plain', 40), ('pyramid', 80)):  # these fit
        assert not told(extractor(files[name]), clouds(size=size))
    extract = extractor(files['plain'], up='z')
    points = clouds(3, 60) * 7 + 50
    texts = told(extract, points)
    assert len(texts) == 3
    assert '60 points, the student was trained on 40: 40 of' in texts[0]
    assert 'radius of' in texts[1] and 'trained on 0 and 1' in texts[1]
    assert 'normalised here (unit_sphere)' in texts[1]
    assert 'have +z up' in texts[2] and 'with +y up' in texts[2]
    assert not told(extract, points)
    alone = extractor(files['plain'], normalize='none', num_points=None)
    texts = told(alone, points)
    assert all('used as' in text for text in texts) and len(texts) == 2


def test_what_is_given_is_brought_to_the_scale_of_the_training(files):
    points = clouds(3)
    near, far = (extractor(files['plain']) for _ in range(2))
    with pytest.warns(UserWarning, match='normalised here'):
        feats = far(points * 7 + 50)
    close(feats, near(points), atol=1e-4)
    as_it_is = extractor(files['plain'], normalize='none')
    with pytest.warns(UserWarning, match='used as it is'):
        assert (as_it_is(points * 7) - feats).abs().max() > 0.01


def test_metres_are_doubted_where_they_make_no_sense(tmp_path):
    spec = dict(points=40, normalize='none', unit='m', up='z')
    cfg = config_of(dict(BACKBONE), input_spec=spec)
    path = save(tmp_path / 'a.pth', cfg)
    assert not told(extractor(path), clouds() * 4)
    (millimetres,) = told(extractor(path), clouds() * 4000)
    assert 'an extent of 6803, the student was trained on m' in millimetres
    (tiny,) = told(extractor(path), clouds() * 0.004)
    assert 'extent of 0.00' in tiny and 'kilometres, multiply the coordinates by 1000' in tiny
    room = np.random.default_rng(0).uniform(0, (14, 18, 8.5), (40, 3))
    (feet,) = told(extractor(path), room)
    assert 'a height of 8' in feet and 'if these are feet, multiply the coordinates by 0.3' in feet
    assert not told(extractor(path), room * 0.3048)


@pytest.mark.parametrize('normalize', ['spec', 'none'])
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_features_do_not_depend_on_the_place_on_a_map(normalize, files):
    points = clouds(2).astype(np.float64)
    extract = extractor(files['plain'], normalize=normalize)
    expected = extract(points)
    for shift in ([5e5, 5.4e6, 0], [-4e6, 1e6, 4.8e6], [0, 0, 2000]):
        close(extract(points + shift), expected)
    apart = points + np.array([[[0, 0, 0]], [[5e5, 5.4e6, 0]]])
    close(extract(apart), expected)
    dense = extractor(files['plain'], normalize=normalize, level='point')
    close(dense(apart), dense(points), atol=1e-4)


def test_points_that_are_nan_are_dropped_on_request(files):
    points = clouds(2, 45)
    kept = points[:, :40].copy()
    points[0, 40:] = np.nan
    extract = extractor(files['plain'], level='point', num_points=None)
    with pytest.warns(UserWarning):
        first, second = extract(points, drop_nan=True)
    assert first.shape == (40, 24) and second.shape == (45, 24)
    close(first, extract(kept[0]))


def test_bad_clouds_of_a_stream_are_listed(files):
    extract = extractor(files['plain'], batch_size=3)
    good = clouds(3)
    named = [('a', good[0]), ('small', good[1, :5]), ('b', good[1]), ('c', good[2])]
    found = dict(extract.stream(named, bad=(bad := [])))
    assert list(found) == ['a', 'b', 'c'] and 'small: a cloud of 5 points' in bad[0]
    close(torch.stack([*found.values()]), extract(good))
    rejects('small: a cloud of 5', lambda: dict(extract.stream(named)))


def test_colours_are_read_left_out_or_zero(files, tmp_path, capsys):
    points = clouds()
    colours = np.concatenate([points, np.ones_like(points) / 2], axis=-1)
    plain = extractor(files['plain'])
    assert not told(plain, colours)
    close(plain(colours), plain(points))
    cfg = config_of(dict(BACKBONE, in_channels=6))
    path = save(tmp_path / 'rgb.pth', cfg)
    reads = extractor(path)
    assert not told(reads, colours)
    (text,) = told(reads, points)
    assert '3 channels, the student was trained on 6: missing ones are filled with zeros' in text
    black = np.concatenate([points, np.zeros_like(points)], axis=-1)
    close(reads(points), reads(black))


def bad(row=3, value=np.nan):
    points = clouds(2)
    points[1, row] = value
    return points


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_what_is_no_cloud_is_named(files, tmp_path):
    extract = extractor(files['plain'])
    for inputs, says in (
        (bad(), r'cloud 1: 1 of 40 points have a NaN.*row 3'),
        (bad(value=np.inf), 'cloud 1: .*infinite'),
        ([clouds(1)[0], clouds(1, 7)[0]], 'cloud 1: a cloud of 7 points.*of 8'),
        ([clouds(1)[0], np.zeros((40, 2))], r'cloud 1: expected.*\(40, 2\)'),
        ([np.zeros((40, 3))], 'cloud 0: all points coincide'),
        (np.zeros((2, 2, 40, 3)), r'got an array of shape \(2, 2, 40, 3\)'),
        ([], 'no cloud in the inputs'),
        (3, 'got a int'),
        (torch.utils.data.TensorDataset(torch.ones(4, 3)), 'Sample 0 of Tensor'),
    ):
        rejects(says, extract, inputs)
    missing = dict(error=FileNotFoundError)
    rejects('nowhere.pth', extractor, tmp_path / 'nowhere.pth', **missing)
    for name in ('nowhere.ply', '*.ply'):
        rejects('no such file', extract, str(tmp_path / name), **missing)
    (tmp_path / 'a.npz').write_bytes(b'cut off')
    rejects('a.npz.*damaged', extract, tmp_path / 'a.npz')
    rejects('no file that matches', extract, [str(tmp_path / 'b' / '*')], **missing)
