"""Feature extraction from files on the command line."""

import json

import numpy as np
import pytest
import torch

from mmkd3d.utils.hashes import file_digest
from tests.apis.student_files import clouds, config_of, extractor, save
from tests.apis.test_students import BACKBONE
from tests.helpers import rejects
from tools import extract_features


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp('student')
    return save(folder / 'student.pth', config_of(dict(BACKBONE)))


@pytest.fixture
def shapes(tmp_path):
    """A folder with four clouds in three files."""
    folder, points = tmp_path / 'shapes', clouds(4)
    folder.mkdir()
    np.savez(folder / 'many.npz', points=points[:2])
    np.savetxt(folder / 'one.txt', points[2])
    np.c_[points[3], np.ones((40, 3))].astype('float32').tofile(folder / 'scan.bin')
    return folder


def run(*args):
    """Run the tool; splits arguments at spaces."""
    extract_features.main(' '.join(str(a) for a in args).split())


def test_features_and_where_they_come_from(checkpoint, shapes, tmp_path, capsys):
    out = tmp_path / 'deep' / 'features.npz'
    run(checkpoint, shapes, '--load-dim', 6, '--out', out, '--batch-size', 3)
    found = np.load(out)
    expected = extractor(checkpoint)(clouds(4))
    np.testing.assert_allclose(found['features'], expected, atol=1e-4)
    names = [name.split('/')[-1] for name in found['ids']]
    assert names == ['many.npz#0', 'many.npz#1', 'one.txt', 'scan.bin']
    spec = dict(points=40, channels=3, normalize='unit_sphere', unit=None, up='y')
    assert json.loads(str(found['input_spec'])) == spec
    assert str(found['checkpoint_hash']) == file_digest(checkpoint)[:16]
    assert str(found['level']) == 'global' and found['layer'] == -1
    printed = capsys.readouterr()
    assert '4 clouds' in printed.out and '(4, 48)' in printed.out
    assert '3/3' in printed.err


def test_columns_are_chosen_by_name(checkpoint, tmp_path):
    points = clouds(1)[0]
    rows = np.column_stack([np.arange(40), points[:, ::-1]])
    header = dict(header='n;c;b;a', comments='', delimiter=';')
    np.savetxt(tmp_path / 'a.csv', rows, **header)
    out = tmp_path / 'f.npz'
    run(checkpoint, tmp_path / 'a.csv', '--columns A B C --out', out)
    expected = extractor(checkpoint)(points)
    np.testing.assert_allclose(np.load(out)['features'][0], expected, atol=1e-4)
    found = extractor(checkpoint)(tmp_path / 'a.csv', columns=['a', 'b', 'c'])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    says = 'a.csv: no columns x, y, z among n, c, b, a. Choose .* --columns'
    rejects(says, run, checkpoint, tmp_path / 'a.csv', '--out', out, error=SystemExit)


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_points_are_end_to_end_with_their_offset(checkpoint, tmp_path):
    sizes = (30, 55)
    for size in sizes:
        np.save(tmp_path / f'{size}.npy', clouds(1, size)[0])
    run(checkpoint, tmp_path / '*.npy', '--level point --layer 1 --out', tmp_path / 'points.npz')
    found = np.load(tmp_path / 'points.npz')
    assert found['offset'].tolist() == [0, 30, 85] and found['layer'] == 1
    extract = extractor(checkpoint, level='point', layer=1)
    for part, size in zip(np.split(found['features'], [30]), sizes):
        np.testing.assert_allclose(part, extract(clouds(1, size)[0]), atol=1e-4)


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_options_reach_the_extractor(checkpoint, shapes, tmp_path, capsys):
    out = tmp_path / 'tokens.npz'
    options = '--level token --num-points all --normalize none --key points --device cpu --up z'
    run(checkpoint, shapes / 'many.npz', options, '--out', out)
    assert np.load(out)['features'].shape == (2, 8, 24)
    with pytest.raises(SystemExit):
        run(checkpoint, shapes, '--out features.npy')
    assert '--out is an npz file' in capsys.readouterr().err


def test_bad_input_is_named_and_nothing_is_written(checkpoint, shapes, tmp_path):
    out = tmp_path / 'features.npz'
    out.write_bytes(b'older')

    def stops(message, *args):
        rejects(message, run, *args, '--out', out, error=SystemExit)

    (shapes / 'zz.ply').write_bytes(b'ply\nformat')
    stops('zz.ply', checkpoint, shapes, '--load-dim 6')
    (shapes / 'zz.ply').unlink()
    points = clouds(1)[0]
    points[5] = np.nan
    np.save(shapes / 'zz.npy', points)
    stops('zz.npy: 1 of 40 points have a NaN', checkpoint, shapes, '--load-dim 6')
    stops('scan.bin.*load_dim', checkpoint, shapes)
    stops('nowhere: no such file', checkpoint, tmp_path / 'nowhere')
    stops('No checkpoint at .*none.pth', tmp_path / 'none.pth', shapes)
    stops('no layer 9', checkpoint, shapes, '--layer 9')
    torch.save(dict(a=torch.ones(1)), tmp_path / 'bare.pth')
    stops('bare.pth carries no config', tmp_path / 'bare.pth', shapes)
    assert out.read_bytes() == b'older'
    assert sorted(p.name for p in tmp_path.iterdir()) == ['bare.pth', 'features.npz', 'shapes']


def many(folder):
    """Six files, of which the fourth has a NaN."""
    folder.mkdir()
    points = clouds(6)
    points[3, 7] = np.nan
    for i, cloud in enumerate(points):
        np.save(folder / f's{i}.npy', cloud)
    return points


def test_what_was_computed_before_a_bad_file_is_kept(checkpoint, tmp_path, monkeypatch):
    points, out = many(tmp_path / 'many'), tmp_path / 'f.npz'
    args = checkpoint, tmp_path / 'many', '--batch-size 2 --out', out
    says = r's3.npy: 1 of 40(.|\n)*features of 2 clouds are kept in .*f.partial(.|\n)*--skip-bad'
    rejects(says, run, *args, error=SystemExit)
    assert not out.exists()
    rejects('layer=None, not 0', run, *args, '--layer 0', error=SystemExit)
    np.save(tmp_path / 'many/s3.npy', points[2])  # mended
    for i in range(2):
        (tmp_path / f'many/s{i}.npy').write_bytes(b'must not be read again')
    run(*args)
    found = np.load(out)
    assert [name[-6:] for name in found['ids']] == [f's{i}.npy' for i in range(6)]
    points[3] = points[2]
    np.testing.assert_allclose(found['features'], extractor(checkpoint)(points), atol=1e-4)
    assert not (tmp_path / 'f.partial').exists()


@pytest.mark.parametrize('level', ['global', 'point'])
def test_bad_files_are_skipped_and_listed(level, checkpoint, tmp_path, capsys):
    points, out = many(tmp_path / 'many'), tmp_path / 'f.npz'
    np.save(tmp_path / 'many/s5.npy', points[5, :4])
    (tmp_path / 'many/s6.npy').write_bytes(b'cut off')
    args = checkpoint, tmp_path / 'many', f'--level {level} --batch-size 2 --out', out
    with pytest.raises(SystemExit) as stop:
        run(*args, '--skip-bad')
    assert stop.value.code == 3
    listed = (tmp_path / 'f.bad.txt').read_text().splitlines()
    assert [line.split(':')[0][-6:] for line in listed] == ['s3.npy', 's6.npy', 's5.npy']
    assert 'NaN' in listed[0] and 'patches of 8' in listed[2]
    said = capsys.readouterr().err
    assert '3 left out' in said and all(line in said for line in listed)
    found = np.load(out)
    assert [name[-6:] for name in found['ids']] == ['s0.npy', 's1.npy', 's2.npy', 's4.npy']
    expected = extractor(checkpoint, level=level)(points[[0, 1, 2, 4]])
    np.testing.assert_allclose(
        found['features'], expected.reshape(len(found['features']), -1), atol=1e-4
    )
    if level == 'point':
        assert found['offset'].tolist() == [0, 40, 80, 120, 160]
    for i in (5, 6):
        (tmp_path / f'many/s{i}.npy').unlink()
    run(*args, '--skip-bad --drop-nan')
    assert len(np.load(out)['ids']) == 5 and not (tmp_path / 'f.bad.txt').exists()
